import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeClient } from '../src/client/client.ts';
import { type Bus, inProcess, start, startBus, temporaryFolder } from './cli-run.fixtures.ts';

describe('leveredge tail', { concurrency: 4 }, () => {
  let bus: Bus;
  let env: Record<string, string>;
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home);
    env = { LEVEREDGE_URL: bus.url };
  });
  after(() => bus.stop());
  const publish = (source_agent: string, action: string, target?: string, url = bus.url) =>
    makeClient({ url }).publish({ source_agent, action, target });

  it('begins with the last so many, shows what fits as it happens, and ends with 0 at Ctrl-C', async () => {
    for (const n of [1, 2, 3]) await publish('LAST', 'it_failed', `${n}`);
    const tail = start(['tail', '*_failed', '-s', 'LAST', '-n', '2'], env);
    await tail.says('stdout', /it_failed\t3\t/);
    await publish('LAST', 'it_worked');
    await publish('OTHER', 'it_failed');
    const fourth = tail.says('stdout', /it_failed\t4\t/);
    await publish('LAST', 'it_failed', '4');
    await fourth;
    tail.child.kill('SIGINT');
    const { exit, stdout, stderr } = await tail.ended;
    assert.equal(exit, 0);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t').slice(2, 5).join(' ')),
      ['LAST it_failed 2', 'LAST it_failed 3', 'LAST it_failed 4'],
    );
    assert.equal(stderr, '');
  });

  it('prints one JSON document a line, and ends when nobody reads any more', async () => {
    const first = await publish('PIPE', 'piped', '1');
    await publish('PIPE', 'piped', '2');
    const tail = start(['tail', '--json', '-s', 'PIPE', '--from-start'], env);
    const [line] = await tail.says('stdout', /.*"piped".*/);
    const event = JSON.parse(line);
    assert.deepEqual([event.target, event.bookmark], ['1', first.bookmark]);
    tail.child.stdout.destroy();
    for (let i = 0; i < 3; i++) await publish('PIPE', 'piped', `later ${i}`);
    assert.equal((await tail.ended).exit, 0);
  });

  it('connects again by itself after the bus was stopped or killed, and says so once', async (t) => {
    const own = temporaryFolder(t);
    const first = await startBus(own);
    const port = new URL(first.url).port;
    const tail = start(['tail', '--after', (await publish('ME', 'before', '0', first.url)).bookmark], {
      LEVEREDGE_URL: first.url,
    });
    t.after(() => tail.child.kill());
    const seen = tail.says('stdout', /seen\t1\t/);
    await publish('ME', 'seen', '1', first.url);
    await seen;
    const stopping = tail.says('stderr', /The bus is stopping\. Connecting again\./);
    await first.stop();
    await stopping;
    const second = await startBus(own, ['--port', port]);
    t.after(() => second.stop());
    const again = tail.says('stdout', /seen\t2\t/);
    await publish('ME', 'seen', '2', second.url);
    await again;
    tail.child.kill('SIGTERM');
    const { exit, stdout, stderr } = await tail.ended;
    assert.equal(exit, 0);
    assert.equal(stdout.trim().split('\n').length, 2, 'each event once');
    assert.equal(stderr, 'The bus is stopping. Connecting again.\nConnected again.\n');
  });

  it('says at once when there is no bus, and refuses what makes no sense, in its own words', async () => {
    const none = await start(['tail', '--url', 'http://127.0.0.1:1'], env).ended;
    assert.equal(none.exit, 4);
    assert.match(none.stderr, /No bus can be reached/);
    const cli = inProcess(bus.url);
    const cases: [string[], number, RegExp][] = [
      [['--from-start', '--after', 'x'], 2, /--from-start and --after name two places/],
      [['--after', 'x'], 2, /--after is no bookmark/],
      [['--after', '00000000.1'], 6, /restored or made anew.\n {2}Begin without --after, .* or with --from-start/],
      [['-n', '1001'], 2, /--last must be 1 to 1000/],
      [['-n', '0'], 2, /above 0/],
    ];
    for (const [args, exit, says] of cases) {
      const outcome = await cli('tail', ...args);
      assert.equal(outcome.exit, exit, args.join(' '));
      assert.match(outcome.stderr, says);
    }
  });
});
