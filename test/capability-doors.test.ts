import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import { exitCodeOf } from '../src/base/exit.ts';
import { Fault, type FaultCode } from '../src/base/fault.ts';
import type { JsonObject } from '../src/base/json.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { type Call, type Capability, calledAction } from '../src/events/capability.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { everyCapability, someResult, startAgents, startApprover } from './capability-agents.fixtures.ts';
import { inProcess, temporaryFolder } from './cli-run.fixtures.ts';

/** Whatever is defined as a capability is the same through every door; nothing here knows one by its name. */
describe('every door to what the agents can do', { timeout: 120_000 }, () => {
  let bus: BusProcess;
  let admin: Client;
  let ada: Seat;
  let reader: Seat;
  let end: (name: string) => JsonObject;
  const folder = temporaryFolder({ after });

  type Seat = { http: Client; cli: ReturnType<typeof inProcess> };
  /** Somebody with a token, before each of the doors. */
  async function seat(name: string, kind: 'tool' | 'person', ...scopes: string[]): Promise<Seat> {
    const { secret } = await tokenFor(bus, { name, kind, scopes });
    const file = join(folder, `${name}.token`);
    writeFileSync(file, secret, { mode: 0o600 });
    return {
      http: makeClient({ url: bus.url, token: secret }),
      cli: inProcess(bus.url, undefined, undefined, file, { capabilities: everyCapability }),
    };
  }

  // Undone when the suite ends, what came last first.
  const undo: (() => unknown)[] = [];
  const t = { after: (fn: () => unknown) => void undo.unshift(fn) } as Parameters<typeof startAgents>[0];
  before(async () => {
    bus = await startBusProcess();
    undo.push(() => bus.stop());
    admin = makeClient({ url: bus.url });
    [ada, reader] = [await seat('ADA', 'tool', 'read', 'call:*'), await seat('READER', 'tool', 'read')];
    await startAgents(t, admin, (name) => end(name));
    await startApprover(t, (await seat('anna', 'person', 'read', 'approve')).http);
  });
  after(async () => {
    for (const each of undo) await each();
  });

  const newest = async () => (await admin.events({ limit: 1 })).events[0]?.id;
  const schemaOf = ({ input }: Capability) =>
    z.toJSONSchema(input, { io: 'input' }) as { properties: Record<string, { type: string }>; required?: string[] };

  /** As it is typed: what must be given by its place, the rest as options. */
  function wordsOf(capability: Capability, args: JsonObject): string[] {
    const { required = [] } = schemaOf(capability);
    const options = Object.entries(args).filter(([key]) => !required.includes(key));
    return [
      ...capability.name.split('.'),
      ...required.flatMap((key) => (args[key] === undefined ? [] : [String(args[key])])),
      ...options.flatMap(([key, value]) => [`--${key}`, String(value)]),
    ];
  }

  /** Over HTTP to its end, as a refusal or a result. */
  async function overHttp({ http }: Seat, { name }: Capability, args: JsonObject) {
    try {
      let call: Call = await http.callCapability(name, args);
      while (['running', 'pending_approval'].includes(call.status))
        call = await http.callState(call.id, { waitSeconds: 20 });
      return call.error === null
        ? { result: call.result }
        : { code: call.error.code as FaultCode, message: call.error.message };
    } catch (error) {
      const { code, message, mistakes } = error as Fault;
      return { code, message, mistakes };
    }
  }

  async function typed({ cli }: Seat, words: readonly string[]) {
    const { exit, stdout, stderr } = await cli(...words, '--json');
    return { exit, stdout, error: exit === 0 ? undefined : JSON.parse(stderr).error };
  }

  async function calledBy(name: string) {
    const { events } = await admin.events({ limit: 2, action: calledAction(name) });
    return events.map(({ target, source_agent, details }) => ({ target, source_agent, details }));
  }

  for (const capability of everyCapability) {
    const { name, risk, example } = capability;

    // What the bus does itself has tests of its own: test/atlas-respond.test.ts.
    const byAgent = { skip: capability.doneBy === 'bus' };
    it(`gives the same result of ${name}, and tells of the call by the same event`, byAgent, async () => {
      const result = someResult(capability);
      end = () => result;
      assert.deepEqual(await overHttp(ada, capability, example), { result });
      const { exit, stdout } = await typed(ada, wordsOf(capability, example));
      assert.deepEqual([exit, JSON.parse(stdout)], [0, result]);
      const [cli, http] = await calledBy(name);
      assert.deepEqual([http?.details?.via, cli?.details?.via], ['http', 'cli']);
      assert.deepEqual(cli?.details?.asked_by, { kind: 'tool', name: 'ADA' });
      assert.deepEqual({ ...cli, details: { ...cli?.details, via: 'http' } }, http);
    });

    it(`gives the same refusal of ${name}`, byAgent, async () => {
      end = () => {
        throw new Fault('conflict', `There is no ${name} today.`, { hint: 'Come back.' });
      };
      const http = await overHttp(ada, capability, example);
      assert.deepEqual([http.code, http.message], ['conflict', `There is no ${name} today.`]);
      const { exit, stdout, error } = await typed(ada, wordsOf(capability, example));
      assert.deepEqual([exit, stdout], [6, '']);
      assert.deepEqual([error.code, error.message, error.hint], [http.code, http.message, 'Come back.']);
    });

    it(`refuses the wrong arguments of ${name} by their names, and nothing has happened then`, async () => {
      const { properties, required = [] } = schemaOf(capability);
      const before = await newest();
      for (const [key, { type }] of Object.entries(properties)) {
        const flag = required.includes(key) ? `<${key}>` : `--${key}`;
        const odd = [type === 'integer' ? 0 : '', type === 'integer' ? 100_000 : 'x'.repeat(1000)];
        const refused = odd
          .map((wrong): JsonObject => ({ ...example, [key]: wrong }))
          .filter((args) => !capability.input.safeParse(args).success);
        assert.ok(refused.length > 0, `${key} may be anything`);
        for (const args of refused) {
          const http = await overHttp(ada, capability, args);
          assert.deepEqual([http.code, http.mistakes?.[0]?.pointer], ['invalid', `/${key}`]);
          const { exit, error } = await typed(ada, wordsOf(capability, args));
          assert.equal(exit, 2);
          assert.ok(error.message.includes(flag), `${error.message} names no ${flag}`);
        }
      }
      for (const key of required) {
        const { exit, error } = await typed(ada, capability.name.split('.'));
        assert.deepEqual([exit, error.message], [2, `missing required argument '${required[0]}'`]);
        const http = await overHttp(ada, capability, {});
        assert.deepEqual([http.code, http.mistakes?.some(({ pointer }) => pointer === `/${key}`)], ['invalid', true]);
      }
      assert.equal((await overHttp(ada, capability, { ...example, nonsense: 1 })).code, 'invalid');
      const { exit, error } = await typed(ada, [...wordsOf(capability, example), '--nonsense', '1']);
      assert.equal(exit, 2);
      assert.match(error.message, /--nonsense/);
      assert.equal(await newest(), before);
    });

    it(`${risk === 'read' ? 'lets a token that only reads call' : 'refuses a token that only reads'} ${name}`, async () => {
      end = () => someResult(capability);
      const before = await newest();
      const http = await overHttp(reader, capability, example);
      const { exit, error } = await typed(reader, wordsOf(capability, example));
      if (risk === 'read') {
        assert.deepEqual([http.code, exit], [undefined, 0]);
        return;
      }
      assert.deepEqual([http.code, exit, error.code, error.message], ['forbidden', 3, 'forbidden', http.message]);
      assert.equal(await newest(), before);
    });
  }

  const codes: readonly FaultCode[] = [
    ...(['usage', 'invalid', 'forbidden', 'not-found', 'conflict', 'locked', 'damaged', 'internal'] as const),
    ...(['unavailable', 'unreachable', 'storage-full', 'newer-schema', 'already-resolved', 'queue-full'] as const),
  ];
  for (const code of codes)
    it(`ends with the exit code of ${code} where the agent says so`, async () => {
      end = () => {
        throw new Fault(code, 'It cannot be done.');
      };
      const look = everyCapability.at(-3) as Capability;
      const http = await overHttp(ada, look, look.example);
      const { exit, error } = await typed(ada, wordsOf(look, look.example));
      assert.deepEqual([http.code, http.message], [code, 'It cannot be done.']);
      assert.deepEqual([exit, error.code, error.message], [exitCodeOf(code), code, 'It cannot be done.']);
      assert.equal(typeof error.call, 'string');
      assert.doesNotMatch(error.hint ?? '', /without the bus/i);
    });

  it('takes a code that nobody knows for a mistake of the agent', async () => {
    end = () => {
      throw new Fault('of-its-own' as FaultCode, 'It cannot be done.');
    };
    const look = everyCapability.at(-3) as Capability;
    assert.equal((await overHttp(ada, look, look.example)).code, 'internal');
    const { exit, error } = await typed(ada, wordsOf(look, look.example));
    assert.deepEqual([exit, error.code, error.message], [1, 'internal', 'It cannot be done.']);
  });
});
