import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { JsonObject } from '../src/base/json.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import type { Capability } from '../src/events/capability.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { everyCapability, someResult, startAgents } from './capability-agents.fixtures.ts';
import { inProcess, temporaryFolder } from './cli-run.fixtures.ts';

const usual = (name: string) => someResult(everyCapability.find((each) => each.name === name) as Capability);

describe('a sentence on the command line', { timeout: 60_000 }, () => {
  let bus: BusProcess;
  let client: Client;
  let end: (name: string) => JsonObject = usual;
  const folder = temporaryFolder({ after });
  const undo: (() => unknown)[] = [];

  /** Somebody with a token at a command line, and what it says while it waits. */
  async function seat(name: string, kind: 'person' | 'tool', ...scopes: string[]) {
    const { secret } = await tokenFor(bus, { name, kind, scopes });
    const file = join(folder, `${name}.token`);
    writeFileSync(file, secret, { mode: 0o600 });
    const said: string[] = [];
    const more = { say: (line: string) => void said.push(line), capabilities: everyCapability };
    return { cli: inProcess(bus.url, undefined, undefined, file, more), said };
  }
  const newest = async () => (await client.events({ limit: 1 })).events[0]?.id;

  before(async () => {
    bus = await startBusProcess();
    undo.push(() => bus.stop());
    client = makeClient({ url: bus.url });
    await startAgents({ after: (fn) => void undo.unshift(fn as () => unknown) }, client, (name) => end(name));
  });
  after(async () => {
    for (const each of undo) await each();
  });

  it('is the call that it says, quoted or not, which is told, and made by whoever spoke', async () => {
    const { cli, said } = await seat('ada', 'person', 'read', 'call:chronos.backup');
    for (const words of [['check system health'], ['check', 'system', 'health']]) {
      const { exit, stdout } = await cli('atlas', ...words, '--json');
      assert.deepEqual([exit, JSON.parse(stdout)], [0, usual('atlas.status')]);
    }
    const backed = await cli('atlas', 'Back dev up, please.', '--json');
    assert.deepEqual([backed.exit, JSON.parse(backed.stdout)], [0, usual('chronos.backup')]);
    assert.deepEqual(said, ['atlas.status', 'atlas.status', 'chronos.backup target=dev']);
    const [call] = (await client.events({ action: 'chronos_backup_called', limit: 1 })).events;
    const asked_by = { kind: 'person', name: 'ada' };
    assert.deepEqual(call?.details, {
      ...{ capability: 'chronos.backup', arguments: { target: 'dev' } },
      ...{ asked_by, via: 'cli' },
    });
  });

  it('may do no more than whoever spoke', async () => {
    const { cli } = await seat('reader', 'tool', 'read');
    const before = await newest();
    const { exit, stderr } = await cli('atlas', 'roll dev back');
    assert.equal(exit, 3);
    assert.match(stderr, /^leveredge: The token of "reader" may not call hades\.rollback/);
    assert.equal(await newest(), before);
  });

  it('that destroys has a person asked, as its command has', async () => {
    end = () => assert.fail('it is done');
    const { cli, said } = await seat('berta', 'person', 'read', 'call:*');
    const { exit, stdout, stderr } = await cli('atlas', 'roll dev back', '--no-wait');
    end = usual;
    assert.equal(exit, 9);
    assert.match(stderr, /^Roll dev back to /);
    assert.equal((await client.callState(stdout.trim())).status, 'pending_approval');
    assert.deepEqual(said, ['hades.rollback target=dev']);
  });

  it('that is none calls nothing, and says how it would be said', async () => {
    const { cli, said } = await seat('carla', 'person', 'admin');
    const before = await newest();
    for (const [words, says] of [
      [['roll', 'back'], /^leveredge: "roll back" is nothing that can be done\.\n {2}Near it:\n {4}roll TARGET back /],
      [['roll it back'], /^leveredge: "it" is no name\. /],
      [['roll dev back?'], /^leveredge: That would be hades\.rollback target=dev\. /],
      [['list'], /^leveredge: "list" can mean chronos\.list or hades\.list\.\n {2}Near it:\n {4}chronos list /],
      [['make', 'tea'], /^leveredge: "make tea" is nothing .*\n {2}What there is: leveredge atlas --help\n$/],
      [['\u001b[2Jevil'], /^leveredge: "\\u001b\[2Jevil" is nothing/],
    ] as const) {
      const { exit, stdout, stderr } = await cli('atlas', ...words);
      assert.deepEqual([exit, stdout], [2, ''], words.join(' '));
      assert.match(stderr, says);
    }
    const { error } = JSON.parse((await cli('atlas', 'roll it back', '--json')).stderr);
    assert.deepEqual(error.nearest, [{ phrase: 'roll TARGET back', capability: 'hades.rollback' }]);
    assert.deepEqual([error.code, error.because], ['usage', 'vague']);
    assert.deepEqual(said, []);
    assert.equal(await newest(), before);
  });

  it('is told in the help, with what it calls, in 80 columns', async () => {
    const { cli } = await seat('dora', 'person', 'read');
    const { exit, stdout } = await cli('atlas', '--help');
    assert.equal(exit, 0);
    assert.match(stdout, /^Usage: leveredge atlas \[options\] \[command \| "SENTENCE"\]\n/);
    assert.match(stdout, /^ {2}roll TARGET back +hades\.rollback$/m);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
    const { exit: wrong, stderr } = await cli('atlas');
    assert.deepEqual([wrong, stderr.split('\n')[0]], [2, 'Usage: leveredge atlas [options] [command | "SENTENCE"]']);
    assert.equal((await cli('atlas', 'help')).exit, 0);
  });
});
