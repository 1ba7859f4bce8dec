import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeClient } from '../../src/client/client.ts';
import { type Bus, inProcess, launcher, leveredge, start, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

/** The command line as its users have it: a process, exit codes, signals, pipes. */
describe('leveredge ask', { concurrency: 4 }, () => {
  let bus: Bus;
  let env: Record<string, string>;
  // Made here: what a `before` hands to `after` is done when that `before` ends.
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home);
    env = { LEVEREDGE_URL: bus.url };
  });
  after(() => bus.stop());

  async function asking(...args: string[]) {
    const asker = start(['ask', ...args], env);
    const [, id] = await asker.says('stderr', /leveredge answer (\S+) RESPONSE/);
    return { ...asker, id: id as string };
  }

  it('exits 0 with the answer of a person', async () => {
    const asker = await asking('Shall we?', '--option', 'yes', '--option', 'no', '--timeout', '5');
    await makeClient({ url: bus.url }).respond(asker.id, { response: 'yes', responder: 'berta', via: 'test' });
    const { exit, stdout, stderr } = await asker.ended;
    assert.equal(exit, 0);
    assert.equal(stdout, 'yes\n');
    assert.match(stderr, /Answered by berta via test\./);
  });

  it('hands an answer on as it is, so that a script can compare it', async () => {
    const asker = await asking('Which?');
    const response = 'first\n\tsecond \u202e';
    await makeClient({ url: bus.url }).respond(asker.id, { response, responder: 'berta' });
    assert.equal((await asker.ended).stdout, `${response}\n`);
    const onTerminal = inProcess(bus.url, { is: true, columns: 80 });
    await makeClient({ url: bus.url }).publish({
      ...{ source_agent: 'CLI', action: 'human_input_required', requires_human: true, human_question: 'Which?' },
      id: 'hostile',
    });
    await makeClient({ url: bus.url }).respond('hostile', { response, responder: 'berta' });
    const { stdout } = await onTerminal('ask', 'Which?', '--id', 'hostile');
    assert.equal(stdout, 'first\\u000a\\u0009second \\u202e\n');
  });

  it('exits 9 with the fallback when nobody answers in time', async () => {
    const { exit, stdout } = await leveredge(['ask', 'Well?', '--timeout', '0.005', '--fallback', 'no', '--json'], env);
    assert.equal(exit, 9);
    const { id, resolved_at, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { state: 'timed_out', response: 'no', responded_by: null, responded_via: 'timeout' });
  });

  it('exits 1 when nobody answers in time and there is no fallback', async () => {
    const { exit, stdout } = await leveredge(['ask', 'Well?', '--timeout', '0.005'], env);
    assert.equal(exit, 1);
    assert.equal(stdout, '');
  });

  it('exits 1 when the question is cancelled', async () => {
    const asker = await asking('Well?', '--source', 'ASKER');
    await makeClient({ url: bus.url }).cancel(asker.id, { cancelled_by: 'ASKER' });
    assert.equal((await asker.ended).exit, 1);
  });

  it('exits 130 at Ctrl-C and says that the question stays open', async () => {
    const asker = await asking('Well?', '--source', "O'Neill");
    asker.child.kill('SIGINT');
    const { exit, stderr } = await asker.ended;
    assert.equal(exit, 130);
    assert.match(stderr, /The question stays open\./);
    assert.match(stderr, new RegExp(`leveredge answer ${asker.id} RESPONSE`));
    assert.match(stderr, new RegExp(`leveredge cancel ${asker.id} --as 'O'\\\\''Neill'`));
    assert.equal((await makeClient({ url: bus.url }).event(asker.id)).human_state, 'open');
  });

  it('tells a program of Ctrl-C as JSON, with the id', async () => {
    const asker = start(['ask', 'Well?', '--json', '--id', 'interrupted-1'], env);
    await asker.says('stderr', /Asked/);
    asker.child.kill('SIGINT');
    const { exit, stdout, stderr } = await asker.ended;
    assert.deepEqual([exit, stdout], [130, '']);
    const { error } = JSON.parse(stderr.trimEnd().split('\n').at(-1) as string);
    assert.deepEqual([error.code, error.id], ['interrupted', 'interrupted-1']);
    assert.match(error.message, /^Interrupted\. The question stays open\.$/);
    assert.match(error.hint, /^Answer it: {4}npx leveredge answer interrupted-1 RESPONSE --url .*\nTake it back: /);
    assert.doesNotMatch(stderr, /\nInterrupted/);
  });

  it('says of a question that was asked before that it was, and claims no more', async () => {
    const client = makeClient({ url: bus.url });
    const question = ['ask', 'Again?', '--id', 'again'];
    await leveredge([...question, '--no-wait'], env);
    const open = await leveredge([...question, '--no-wait'], env);
    assert.match(
      open.stderr,
      /^This question was asked before, .*\n {2}If it is still open: npx leveredge answer again /,
    );
    await client.respond('again', { response: 'yes', responder: 'berta' });
    const decided = await leveredge(question, env);
    assert.deepEqual([decided.exit, decided.stdout], [0, 'yes\n']);
    assert.match(decided.stderr, /^This question was asked before, /);
    assert.doesNotMatch(open.stderr + decided.stderr, /is open/);
  });

  it('says that a fallback without a timeout is never taken', async () => {
    const never = /^Note: without --timeout the fallback is never taken\.$/m;
    const ask = ['ask', 'Well?', '--no-wait', '--fallback', 'no'];
    assert.match((await leveredge(ask, env)).stderr, never);
    assert.doesNotMatch((await leveredge([...ask, '--timeout', '5'], env)).stderr, never);
  });

  it('asks nothing blank', async () => {
    for (const question of ['', ' \n']) {
      const { exit, stderr } = await leveredge(['ask', question, '--no-wait'], env);
      assert.equal(exit, 2);
      assert.match(stderr, /argument 'question'\. It must not be blank\.\n {2}See: npx leveredge ask --help\n$/);
    }
  });

  it('survives a restart of the bus, and is stored once', async (t) => {
    const home = temporaryFolder(t);
    const first = await startBus(home);
    const asker = start(['ask', 'Still there?', '--id', 'patient'], { LEVEREDGE_URL: first.url });
    await asker.says('stderr', /Asked/);
    await first.stop();
    await asker.says('stderr', /Trying again/);
    const second = await startBus(home, ['--port', new URL(first.url).port]);
    t.after(() => second.stop());
    const client = makeClient({ url: second.url });
    await client.respond('patient', { response: 'yes', responder: 'berta' });
    const { exit, stdout } = await asker.ended;
    assert.deepEqual([exit, stdout], [0, 'yes\n']);
    assert.equal((await client.events({ action: 'human_input_required' })).count, 1);
  });
});

describe('a process of leveredge', { concurrency: 4 }, () => {
  it('exits 4 and says which URL it tried when no bus is there', async () => {
    for (const args of [['events'], ['publish', 'a']]) {
      const { exit, stdout, stderr } = await leveredge([...args, '--url', 'http://127.0.0.1:9'], {});
      assert.equal(exit, 4);
      assert.equal(stdout, '');
      assert.match(
        stderr,
        /No bus can be reached at http:\/\/127\.0\.0\.1:9 \(.+\)\.\n {2}Start it with "npx leveredge bus"/,
      );
    }
  });

  it('finds the bus that runs on the home, whatever its port', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    for (const args of [['publish', 'a'], ['events'], ['ask', 'Well?', '--no-wait'], ['pending'], ['subscriptions']]) {
      const { exit, stderr } = await leveredge([...args, '--home', bus.home]);
      assert.equal(exit, 0, stderr);
    }
    assert.equal((await leveredge(['inbox', 'AEGIS'], { LEVEREDGE_HOME: bus.home })).exit, 0);
  });

  it('finds the bus by LEVEREDGE_PORT, before the one that runs on the home', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    const { exit, stderr } = await leveredge(['publish', 'a', '--home', bus.home], { LEVEREDGE_PORT: '11' });
    assert.equal(exit, 4);
    assert.match(stderr, /http:\/\/127\.0\.0\.1:11 /);
  });

  it('names LEVEREDGE_PORT when that is no port', async (t) => {
    const env = { LEVEREDGE_PORT: 'abc', LEVEREDGE_HOME: temporaryFolder(t) };
    const { exit, stderr } = await leveredge(['events'], env);
    assert.equal(exit, 2);
    assert.match(stderr, /^leveredge: The settings of the bus have a mistake\. LEVEREDGE_PORT: "abc" is no port/);
    assert.equal((await leveredge(['events', '--help'], env)).exit, 0);
    assert.equal((await leveredge(['backup'], env)).exit, 5, 'what needs no bus does not mind');
  });

  it('tells a program that is no bus from one', async (t) => {
    const server = createServer((_, response) => response.end('<html>')).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { exit, stderr } = await leveredge([
      'events',
      '--url',
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ]);
    assert.equal(exit, 4);
    assert.match(stderr, /no event bus/);
  });

  it('takes a closed pipe for no error', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    const client = makeClient({ url: bus.url });
    const text = 'x'.repeat(3000);
    await Promise.all(
      Array.from({ length: 200 }, () => client.publish({ source_agent: 'ME', action: 'a', target: text })),
    );
    const reader = start(['events', '--json', '--limit', '1000', '--url', bus.url]);
    reader.child.stdout.once('data', () => reader.child.stdout.destroy());
    const { exit, stderr } = await reader.ended;
    assert.deepEqual([exit, stderr], [0, '']);
  });

  it('suggests commands that a shell finds, and that find the same bus', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    const { stderr } = await leveredge(['ask', 'Well?', '--no-wait', '--id', 'a;b', '--url', bus.url]);
    assert.match(stderr, new RegExp(`^ {2}Answer it: npx leveredge answer 'a;b' RESPONSE --url ${bus.url}$`, 'm'));
    const found = await leveredge(['ask', 'Well?', '--no-wait', '--home', bus.home]);
    assert.match(found.stderr, new RegExp(`RESPONSE --home ${bus.home}$`, 'm'));
    for (const [args, says] of [
      [['events', 'no-such', '--home', bus.home], 'See: npx leveredge events\\.'],
      [['events', '--bogus'], 'See: npx leveredge events --help\\n'],
      [['explain', 'a', '--bogus', '--json'], '"See: npx leveredge explain --help"'],
      [['doctor', '--home', join(bus.home, 'new'), '--port', '17'], 'Start it: npx leveredge bus --home \\S+/new\\n'],
    ] as const) {
      const { stdout, stderr } = await leveredge(args);
      assert.match(stdout + stderr, new RegExp(says), args.join(' '));
    }

    const bin = temporaryFolder(t);
    symlinkSync(launcher, join(bin, 'leveredge'));
    const path = { PATH: `${bin}${delimiter}${process.env.PATH}` };
    assert.match((await leveredge(['events', '--bogus'], path)).stderr, /See: leveredge events --help\n/);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`runs the bus until ${signal}, and says what to try`, async (t) => {
      const bus = await startBus(temporaryFolder(t));
      const { exit, stdout } = await bus.stop(signal);
      assert.equal(exit, 0);
      assert.match(stdout, /Its data lies in .*events\.db/);
      assert.match(stdout, new RegExp(`curl .*${bus.url}/events`));
      assert.match(stdout, /npx leveredge events --url/);
      assert.match(stdout, /npx leveredge ask/);
    });

  it('says to programs in one line that the bus runs, and where', async (t) => {
    const home = temporaryFolder(t);
    for (const command of ['up', 'bus']) {
      const bus = start([command, '--port', '0', '--home', home, '--json']);
      t.after(() => bus.child.kill('SIGKILL'));
      const [line] = await bus.says('stdout', /.+/);
      const runs = command === 'up' ? ['ATLAS', 'CHRONOS', 'HADES'] : [];
      const toldAll = Promise.all(runs.map((agent) => bus.says('stdout', new RegExp(agent))));
      const { url, ...rest } = JSON.parse(line);
      assert.deepEqual(rest, { database: join(home, 'control-plane/event-bus/events.db'), home, pid: bus.child.pid });
      await makeClient({ url }).health();
      await toldAll;
      bus.child.kill('SIGTERM');
      const { exit, stdout } = await bus.ended;
      assert.equal(exit, 0);
      const [first, ...agents] = stdout.trimEnd().split('\n');
      assert.equal(first, line);
      const told = agents.map((each) => JSON.parse(each)).map(({ agent, bus, pid }) => ({ agent, bus, pid }));
      told.sort((a, b) => a.agent.localeCompare(b.agent));
      assert.deepEqual(
        told,
        runs.map((agent) => ({ agent, bus: url, pid: bus.child.pid })),
      );

      const quiet = start([command, '--port', '0', '--home', home, '--quiet']);
      t.after(() => quiet.child.kill('SIGKILL'));
      const [found] = await quiet.says('stdout', /.+/);
      await makeClient({ url: found }).health();
      quiet.child.kill('SIGTERM');
      assert.deepEqual(await quiet.ended, { exit: 0, signal: null, stdout: `${found}\n`, stderr: '' });
    }
  });

  it('takes a Ctrl-C that arrives twice, as below npm, for one, and ends at once at a later one', async (t) => {
    const bus = start(['up', '--port', '0', '--home', temporaryFolder(t)]);
    const [, port] = await bus.says('stdout', /listens at http:.*:(\d+)/);
    // A request that is still being sent keeps a stopping bus waiting.
    const slow = connect(Number(port), '127.0.0.1', () =>
      slow.write('POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{'),
    );
    slow.on('error', () => undefined);
    t.after(() => slow.destroy());
    await new Promise((resolve) => setTimeout(resolve, 100));
    bus.child.kill('SIGINT');
    await bus.says('stderr', /Stopping/);
    bus.child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.equal(bus.child.exitCode, null, 'it still waits for the request');
    bus.child.kill('SIGINT');
    assert.equal((await bus.ended).exit, 130);
  });

  it('refuses settings that make no sense with every mistake', async (t) => {
    const env = { LEVEREDGE_PORT: 'abc' };
    const { exit, stderr } = await leveredge(['bus', '--home', temporaryFolder(t), '--host', '0.0.0.0'], env);
    assert.equal(exit, 2);
    assert.match(stderr, /^leveredge: The settings of the bus have 2 mistakes\.\n {2}LEVEREDGE_PORT: .*\n {2}--host: /);
  });

  it('does not claim at its end that all is on disk when the database was taken away', async (t) => {
    const own = temporaryFolder(t);
    const running = await startBus(own);
    rmSync(join(own, 'control-plane/event-bus/events.db'));
    const { exit, stderr } = await running.stop();
    assert.equal(exit, 7);
    assert.match(stderr, /Stopped\. The database .* was deleted, moved or replaced/);
    assert.doesNotMatch(stderr, /is on disk/);
  });

  it('refuses a second bus on the same home', async (t) => {
    const home = temporaryFolder(t);
    const bus = await startBus(home);
    t.after(() => bus.stop());
    const { exit, stderr } = await leveredge(['bus', '--home', home, '--port', '0']);
    assert.equal(exit, 6);
    assert.match(stderr, /Another bus works on/);
  });
});

describe('the launcher', () => {
  const old = olderNode();
  const skip = old ? false : 'no older Node on the PATH';

  it('runs under an older Node, and hands on signals and exit codes', { skip }, async (t) => {
    const program = [old as string, launcher];
    const home = temporaryFolder(t);
    const bus = start(['bus', '--home', home, '--port', '0'], {}, program);
    const [, url] = await bus.says('stdout', /listens at (http\S+)/);
    assert.equal((await start(['events', '--url', url as string], {}, program).ended).exit, 0);
    assert.equal((await start(['events', 'no-such', '--url', url as string], {}, program).ended).exit, 5);
    bus.child.kill('SIGTERM');
    assert.equal((await bus.ended).exit, 0);
  });
});

describe('the bundle', () => {
  it('runs from anywhere with nothing beside it', async (t) => {
    const folder = temporaryFolder(t);
    const dist = join(folder, 'dist');
    const built = spawnSync(process.execPath, [join(import.meta.dirname, '../../tools/build.ts'), dist], {
      encoding: 'utf8',
    });
    assert.equal(built.status, 0, built.stderr);
    const program = [process.execPath, join(dist, 'leveredge.mjs')];
    const bus = start(['bus', '--port', '0', '--home', join(folder, 'home')], {}, program);
    const [, url] = await bus.says('stdout', /listens at (http\S+)/);
    const { exit, stderr } = await start(['publish', 'a_thing', '--url', url as string], {}, program).ended;
    assert.equal(exit, 0, stderr);
    bus.child.kill('SIGINT');
    assert.equal((await bus.ended).exit, 0);
    const env = { LEVEREDGE_PORT: '9', LEVEREDGE_HOME: join(folder, 'home') };
    const fromDisk = await start(['events'], env, program).ended;
    assert.equal(fromDisk.exit, 0, fromDisk.stderr);
    assert.match(fromDisk.stdout, /\ta_thing\t/);
  });
});

/** A Node before 26 on the PATH, as many machines have it. */
function olderNode(): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const node = join(folder, 'node');
    if (!existsSync(node)) continue;
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? '';
    const major = Number(/^v(\d+)/.exec(version)?.[1]);
    if (major >= 20 && major < 26) return node;
  }
  return undefined;
}
