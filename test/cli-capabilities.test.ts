import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { displayWidth } from '../src/base/display-width.ts';
import { Fault } from '../src/base/fault.ts';
import type { JsonObject } from '../src/base/json.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import type { Capability } from '../src/events/capability.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { everyCapability, someResult, startAgents } from './capability-agents.fixtures.ts';
import { inProcess } from './cli-run.fixtures.ts';

const capability = (name: string) => everyCapability.find((each) => each.name === name) as Capability;
const at = '2026-11-29T03:15:00.000Z';

describe('what the agents can do, on the command line', { timeout: 120_000 }, () => {
  let bus: BusProcess;
  let client: Client;
  let anna: Client;
  let end: (name: string) => JsonObject | Promise<JsonObject>;
  const undo: (() => unknown)[] = [];
  const usual = (name: string) => someResult(capability(name));

  /** A command line that keeps what is said while it waits. */
  function seat(columns?: number, url = bus.url, signal = new AbortController().signal) {
    const said: string[] = [];
    const terminal = { is: columns !== undefined, columns: columns ?? 80 };
    const heard = Promise.withResolvers<void>();
    const say = (line: string) => {
      said.push(line);
      if (line.startsWith('Whoever may approve')) heard.resolve();
    };
    const cli = inProcess(url, terminal, undefined, undefined, { say, signal, capabilities: everyCapability });
    return { cli, said, heard: heard.promise };
  }

  before(async () => {
    bus = await startBusProcess();
    undo.push(() => bus.stop());
    client = makeClient({ url: bus.url });
    const { secret } = await tokenFor(bus, { name: 'anna', kind: 'person', scopes: ['read', 'approve'] });
    anna = makeClient({ url: bus.url, token: secret });
    await startAgents({ after: (fn) => void undo.unshift(fn as () => unknown) }, client, (name) => end(name));
  });
  after(async () => {
    for (const each of undo) await each();
  });

  const backups = ['dev-2026-11-29-031500.tar.zst', 'control-plane-2026-11-28-031500.tar.zst'].map((name) => ({
    ...{ name, target: 'dev', created_at: at, state: 'sound', reason: null, bytes: 123_456_789, files: 1234 },
    ...{ why_made: 'before a change that was announced on the bus', verified_at: at, drilled_at: null },
  }));
  const schedule = ['control-plane', 'a-target-with-a-name-of-many-words', 'dev'].map((target) => ({
    ...{ target, what: 'databases', rule: 'every 12 h', last_at: '2026-11-28T03:15:00.000Z', next_at: at },
    ...{ state: 'MISSING', problem: null },
  }));
  const question = { id: 'event-bus-0123456789', asked_by: 'EVENT-BUS', options: ['yes', 'no'], timeout_at: at };
  const events = ['a'.repeat(200), 'backup_completed'].map((action, n) => ({
    ...{ id: `01a204e2-9e86-7000-aae8-730529ce655${n}`, timestamp: at, source_agent: 'CHRONOS', action },
    ...{ target: '日本'.repeat(40), status: 'acknowledged' },
  }));
  const results: Readonly<Record<string, JsonObject>> = {
    'chronos.list': { backups },
    'chronos.schedule': { clocks: 'UTC-03:00', problems: ['dev whole: No room.'], schedule },
    'atlas.events': { events },
    'atlas.pending': {
      pending: [{ ...question, question: 'Shall we? '.repeat(30), fallback: 'no', is_approval: true }],
    },
    'atlas.trace': {
      matter: 'm',
      is_whole: true,
      trace: events.map((each, depth) => ({ ...each, depth, says: 'so '.repeat(99) })),
    },
  };

  for (const columns of [80, 40])
    for (const [name, words] of Object.entries({
      'chronos.list': ['chronos', 'list'],
      'chronos.schedule': ['chronos', 'schedule'],
      'atlas.events': ['atlas', 'events'],
      'atlas.pending': ['atlas', 'pending'],
      'atlas.trace': ['atlas', 'trace', 'x'],
    }))
      it(`shows the list of ${name} in ${columns} columns, with a head`, async () => {
        end = () => results[name] as JsonObject;
        const { exit, stdout } = await seat(columns).cli(...words);
        assert.equal(exit, 0);
        const lines = stdout.trimEnd().split('\n');
        for (const line of lines) assert.ok(displayWidth(line) <= columns, line);
        assert.match(stdout, name === 'chronos.list' ? /^NAME\s+TAKEN/ : /UTC|ID|^TARGET\s+WHAT/m);
        if (name === 'chronos.list') for (const each of backups) assert.ok(stdout.includes(each.name), stdout);
      });

  it('shows a result without a list as lines, and in a pipe as it is', async () => {
    const result = { ...usual('chronos.backup'), bytes: 2048, also_made: ['a', 'b'] };
    end = () => result;
    const shown = await seat(80).cli('chronos', 'backup', 'dev');
    assert.match(shown.stdout, /^backup: {8}some backup\nstate: {9}some state\nbytes: {9}2\.0 KiB\n/);
    assert.match(shown.stdout, /^also made: {5}a, b$/m);
    const piped = await seat().cli('chronos', 'backup', 'dev');
    assert.match(piped.stdout, /^backup\tsome backup\nstate\tsome state\nbytes\t2048\n/);
    assert.deepEqual(JSON.parse((await seat().cli('chronos', 'backup', 'dev', '--json')).stdout), result);
  });

  it('says nothing of an empty list but in JSON', async () => {
    end = () => ({ backups: [] });
    assert.deepEqual((await seat(80).cli('chronos', 'list')).stdout, '');
    assert.deepEqual(JSON.parse((await seat(80).cli('chronos', 'list', '--json')).stdout), { backups: [] });
  });

  it('does not wait with --no-wait, and says which call it is', async () => {
    const go = Promise.withResolvers<JsonObject>();
    end = () => go.promise;
    const { exit, stdout, stderr } = await seat().cli('chronos', 'backup', 'dev', '--no-wait');
    const id = stdout.trim();
    const how = `What comes of it: leveredge atlas trace ${id} --url ${bus.url}`;
    assert.deepEqual([exit, stderr], [9, `It goes on. ${how}\n`]);
    assert.equal((await client.callState(id)).status, 'running');
    go.resolve(usual('chronos.backup'));
    assert.equal((await client.callState(id, { waitSeconds: 20 })).status, 'done');
  });

  it('shows with --no-wait what a person is asked, as soon as it is asked', async () => {
    const began = performance.now();
    const { exit, stdout, stderr } = await seat().cli('hades', 'undo', 'dev', '--no-wait');
    assert.ok(performance.now() - began < 5000, 'the question was there long before');
    assert.equal(exit, 9);
    const { approval, status } = await client.callState(stdout.trim());
    assert.equal(status, 'pending_approval');
    const how = `Whoever may approve it answers: leveredge answer ${approval?.id} yes --url ${bus.url}`;
    assert.equal(stderr, `Undo the last rollback of dev?\nSo says its agent.\n${how}\n`);
    await anna.respond(approval?.id as string, { response: 'no', payload_hash: approval?.payload_hash });
  });

  async function answered(response: string) {
    const { cli, said, heard } = seat();
    const ended = cli('hades', 'rollback', 'dev', '--backup', 'b');
    await heard;
    const [, id = ''] = /answer (\S+) yes/.exec(said.at(-1) ?? '') ?? [];
    assert.deepEqual(said.slice(0, 2), ['Roll dev back to b?', 'So says its agent.']);
    const { payload_hash } = await anna.event(id);
    await anna.respond(id, { response, payload_hash: payload_hash as string });
    return { ...(await ended), said };
  }

  it('waits for the person who decides, and for its end after a yes', async () => {
    end = usual;
    const { exit, stdout, stderr, said } = await answered('yes');
    assert.deepEqual([exit, stderr, said.length], [0, '', 3]);
    assert.match(stdout, /^target\tsome target\noutcome\tsome outcome\n/);
  });

  it('says after a no who said it, and that nothing was done', async () => {
    end = () => assert.fail('it is done');
    const { exit, stdout, stderr } = await answered('no');
    assert.deepEqual([exit, stdout, stderr], [9, '', 'Nothing was done: anna said no.\n']);
  });

  it('says who took the question back', async () => {
    const { secret } = await tokenFor(bus, { name: 'berta', kind: 'person', scopes: ['admin'] });
    const berta = makeClient({ url: bus.url, token: secret });
    const { cli, said, heard } = seat();
    const ended = cli('hades', 'rollback', 'dev', '--backup', 'b');
    await heard;
    await berta.cancel(/answer (\S+) yes/.exec(said.at(-1) ?? '')?.[1] ?? '', {});
    const { exit, stderr } = await ended;
    assert.deepEqual([exit, stderr], [9, 'Nothing was done: berta took the question back.\n']);
  });

  it('says which call goes on when whoever waits for it goes', async () => {
    const ctrlC = new AbortController();
    const { cli, said, heard } = seat(undefined, bus.url, ctrlC.signal);
    const ended = cli('hades', 'rollback', 'dev', '--backup', 'b');
    await heard;
    ctrlC.abort(new Error('Ctrl-C'));
    const { exit, stdout, stderr } = await ended;
    assert.deepEqual([exit, stdout], [130, '']);
    const [, id = ''] =
      /^Interrupted\. The call (\S+) goes on\.\n {2}What comes of it: leveredge atlas trace /.exec(stderr) ?? [];
    const { status, approval } = await client.callState(id);
    assert.equal(status, 'pending_approval');
    assert.ok(said.at(-1)?.includes(approval?.id as string));
  });

  it('fails after a yes as its agent says', async () => {
    end = () => {
      throw new Fault('conflict', 'It was rolled back.', { hint: 'Look: hades.plan' });
    };
    const { exit, stdout, stderr } = await answered('yes');
    assert.deepEqual([exit, stdout], [6, '']);
    assert.equal(stderr, 'leveredge: It was rolled back.\n  Look: leveredge hades plan\n');
  });

  it('names what tells the same when no bus answers', async () => {
    const away = 'http://127.0.0.1:9';
    for (const [words, hint] of [
      [['hades', 'list'], 'gaia list'],
      [['hades', 'rollback', 'dev'], 'gaia restore TARGET'],
      [['atlas', 'events'], 'leveredge events'],
    ] as const) {
      const { exit, stdout, stderr } = await seat(undefined, away).cli(...words);
      assert.deepEqual([exit, stdout], [4, '']);
      assert.match(stderr, new RegExp(`^leveredge: No bus .*\\n  Without the bus: ${hint}\\n$`));
    }
  });

  it('makes harmless what would act on the terminal', async () => {
    const evil = '\u001b[2J\u009b31m\u202eevil\nline\ttab';
    const event = { id: evil, timestamp: evil, source_agent: evil, action: evil, target: evil, status: evil };
    const trace = { matter: evil, is_whole: true, trace: [{ ...event, depth: 1, says: evil }] };
    for (const columns of [80, 40, undefined]) {
      for (const [words, result] of [
        [['atlas', 'events'], { events: [event] }],
        [['atlas', 'trace', 'x'], trace],
        [['chronos', 'verify', 'dev'], { backup: evil, state: evil, says: evil, seconds: 1 }],
      ] as [string[], JsonObject][]) {
        end = () => result;
        for (const more of [[], ['--json']]) {
          const { stdout, exit } = await seat(columns).cli(...words, ...more);
          assert.equal(exit, 0);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
          assert.doesNotMatch(stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
          assert.doesNotMatch(stdout, /^line/m);
        }
      }
      end = () => {
        throw new Fault('conflict', evil, { hint: evil });
      };
      const { stderr } = await seat(columns).cli('chronos', 'verify', 'dev');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
      assert.doesNotMatch(stderr, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    }
  });
});
