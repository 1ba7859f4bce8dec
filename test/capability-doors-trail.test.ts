import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { exitCodeOf } from '../src/base/exit.ts';
import type { Fault } from '../src/base/fault.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { type Call, type Capability, calledAction } from '../src/events/capability.ts';
import type { Event } from '../src/events/event.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { everyCapability, someResult, startAgents, startApprover } from './capability-agents.fixtures.ts';
import { inProcess, temporaryFolder } from './cli-run.fixtures.ts';

type Seat = { http: Client; cli: ReturnType<typeof inProcess> };

/** As it is typed: what must be given by its place, the rest as options. */
function wordsOf({ name, input, example }: Capability): string[] {
  const { required = [] } = z.toJSONSchema(input, { io: 'input' }) as { required?: string[] };
  const options = Object.entries(example).filter(([key]) => !required.includes(key));
  const placed = required.map((key) => String(example[key]));
  return [...name.split('.'), ...placed, ...options.flatMap(([key, value]) => [`--${key}`, String(value)]), '--json'];
}

async function overHttp({ http }: Seat, { name, example }: Capability): Promise<Call> {
  let call = await http.callCapability(name, example);
  while (['running', 'pending_approval'].includes(call.status))
    call = await http.callState(call.id, { waitSeconds: 20 });
  return call;
}

/** What must be the same of every call, with the n-th of these ids as its number. */
function alike(what: unknown, ids: readonly string[]): string {
  const text = ids.reduce((said, id, at) => said.replaceAll(id, `#${at}`), JSON.stringify(what));
  return text
    .replaceAll(/"via":"(http|cli)"/g, '"via":"a door"')
    .replaceAll(/"took_ms":\d+/g, '"took_ms":0')
    .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"a time"');
}

describe('a call through each door', { timeout: 120_000 }, () => {
  const folder = temporaryFolder({ after });
  const undo: (() => unknown)[] = [];
  const t = { after: (fn: () => unknown) => void undo.unshift(fn) } as Parameters<typeof startAgents>[0];
  let bus: BusProcess;
  /** With a token for everything, and no agents. */
  let strict: BusProcess;
  let admin: Client;
  let ada: Seat;
  let nobody: Seat;
  let root: Seat;
  /** What a person says who is asked. */
  let answer = 'yes';

  const withToken = (at: BusProcess, secret: string | undefined, name: string): Seat => {
    const file = join(folder, `${name}.token`);
    if (secret !== undefined) writeFileSync(file, secret, { mode: 0o600 });
    const more = { capabilities: everyCapability };
    return {
      http: makeClient({ url: at.url, ...(secret === undefined ? {} : { token: secret }) }),
      cli: inProcess(at.url, undefined, undefined, secret === undefined ? undefined : file, more),
    };
  };
  const seat = async (at: BusProcess, name: string, kind: 'tool' | 'person', ...scopes: string[]) =>
    withToken(at, (await tokenFor(at, { name, kind, scopes })).secret, name);

  before(async () => {
    [bus, strict] = await Promise.all([startBusProcess(), startBusProcess({ yaml: 'bus: { auth: required }' })]);
    undo.push(() => bus.stop());
    undo.push(() => strict.stop());
    admin = makeClient({ url: bus.url });
    ada = await seat(bus, 'ADA', 'tool', 'read', 'call:*');
    root = await seat(strict, 'ROOT', 'tool', 'admin');
    nobody = withToken(strict, undefined, 'nobody');
    const results = new Map(everyCapability.map((each) => [each.name, someResult(each)]));
    await startAgents(t, admin, (name) => results.get(name) ?? assert.fail(name));
    await startApprover(t, (await seat(bus, 'anna', 'person', 'read', 'approve')).http, () => answer);
  });
  after(async () => {
    for (const each of undo) await each();
  });

  /** The newest call of it, and all that followed, the oldest first. */
  async function matterOf({ name }: Capability): Promise<Event[]> {
    const { events } = await admin.events({ limit: 50 });
    const call = events.find(({ action }) => action === calledAction(name)) ?? assert.fail(`no call of ${name}`);
    const known = new Set([call.id]);
    return events.reverse().filter(({ id, causation_id }) => {
      if (known.has(causation_id ?? '')) known.add(id);
      return known.has(id);
    });
  }

  /** All of an event that is its own, and not of the moment. */
  function trail(events: readonly Event[]): string[] {
    const ids = events.map(({ id }) => id);
    return events.map(({ timestamp, bookmark, ...event }) =>
      alike({ ...event, status: null, acknowledged_by: null }, ids),
    );
  }

  for (const capability of everyCapability) {
    const { name, risk } = capability;
    // What the bus does itself has tests of its own: test/atlas-respond.test.ts.
    const byAgent = { skip: capability.doneBy === 'bus' };

    it(`leaves the same events of ${name}, one by one`, byAgent, async () => {
      answer = 'yes';
      assert.equal((await overHttp(ada, capability)).status, 'done');
      const http = await matterOf(capability);
      const { exit, stderr } = await ada.cli(...wordsOf(capability));
      assert.equal(exit, 0, stderr);
      const cli = await matterOf(capability);
      assert.notEqual(cli[0]?.id, http[0]?.id);
      assert.equal(cli.length, risk === 'destructive' ? 4 : 2);
      assert.deepEqual(trail(cli), trail(http));
    });

    it(`says the same of ${name} to who has no token, and nothing has happened then`, async () => {
      const before = await newestOn(root);
      const fault = await nobody.http.callCapability(name, capability.example).catch((error: Fault) => error);
      const { code, message } = fault as Fault;
      const { exit, stderr } = await nobody.cli(...wordsOf(capability));
      const said = JSON.parse(stderr).error;
      assert.deepEqual([code, exit, said.code, said.message], ['unauthorized', 3, code, message]);
      assert.equal(await newestOn(root), before);
    });

    it(`says the same of ${name} while its agent has never run, and nothing has happened then`, byAgent, async () => {
      const before = await newestOn(root);
      const fault = await root.http.callCapability(name, capability.example).catch((error: Fault) => error);
      const { code, message } = fault as Fault;
      const { exit, stderr } = await root.cli(...wordsOf(capability));
      const said = JSON.parse(stderr).error;
      assert.deepEqual([code, exit], ['unavailable', exitCodeOf('unavailable')]);
      assert.deepEqual([said.code, said.message], [code, message]);
      assert.equal(await newestOn(root), before);
    });

    if (risk !== 'destructive') continue;

    it(`tells the same of ${name} after a no, and it is not done`, async () => {
      answer = 'no';
      const call = await overHttp(ada, capability);
      const { exit, stdout, stderr } = await ada.cli(...wordsOf(capability));
      const typed = JSON.parse(stdout) as Call;
      assert.deepEqual([call.status, typed.status, exit], ['refused', 'refused', 9]);
      assert.match(stderr, /anna said no/);
      assert.notEqual(typed.id, call.id);
      const ids = (of: Call) => [of.approval?.id ?? assert.fail(), of.id];
      assert.equal(alike(typed, ids(typed)), alike(call, ids(call)));
      const events = await matterOf(capability);
      assert.deepEqual(
        events.map(({ source_agent }) => source_agent),
        ['EVENT-BUS', 'EVENT-BUS', 'EVENT-BUS'],
      );
    });
  }

  const newestOn = async ({ http }: Seat) => (await http.events({ limit: 1 })).events[0]?.id;

  it('is of nothing that is not defined', async () => {
    const odd = ['atlas.nonsense', 'nobody.status', 'atlas', 'ATLAS.status'];
    for (const name of odd) {
      await assert.rejects(ada.http.callCapability(name, {}), { code: 'not-found' }, name);
      const { exit } = await ada.cli(...name.split('.'), '--json');
      assert.ok(name === 'atlas' || exit === 2, `${name}: ${exit}`);
    }
  });
});
