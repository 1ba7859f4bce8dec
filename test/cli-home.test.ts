import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { leveredge, startBus, temporaryFolder } from './cli-run.fixtures.ts';

/** A home where no bus runs, whose settings name the port of a bus. */
function homeThatNames(t: Parameters<typeof temporaryFolder>[0], url: string): string {
  const home = temporaryFolder(t);
  mkdirSync(join(home, 'config'));
  writeFileSync(join(home, 'config', 'leveredge.yaml'), `bus:\n  port: ${new URL(url).port}\n`);
  return home;
}

describe('a home that was named, with the bus of another home at its address', () => {
  it('does not publish into, claim from or read the log of another home', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    const home = homeThatNames(t, bus.url);
    for (const words of [['publish', 'deploy_started'], ['claim', 'CHRONOS'], ['events'], ['tail', '*']]) {
      const { exit, stdout, stderr } = await leveredge([...words, '--home', home]);
      assert.equal(exit, 4, words.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /No bus runs on this home; the one at http:\/\/127\.0\.0\.1:\d+ works on another/);
    }
    assert.equal((await leveredge(['publish', 'a_b'], { LEVEREDGE_HOME: home })).exit, 4);
    assert.equal((await leveredge(['publish', 'a_b', '--home', home, '--url', bus.url])).exit, 0);
    const kept = await leveredge(['events', '--home', bus.home]);
    assert.equal(kept.stdout.trim().split('\n').length, 1, kept.stdout);
    assert.match(kept.stdout, /\ta_b\t/);
  });

  it('is served where that bus works on the same log, as from a container', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    const home = homeThatNames(t, bus.url);
    const database = join('control-plane', 'event-bus');
    mkdirSync(join(home, database), { recursive: true });
    for (const end of ['', '-wal'])
      cpSync(join(bus.home, database, `events.db${end}`), join(home, database, `events.db${end}`));
    assert.equal((await leveredge(['publish', 'a_b', '--home', home])).exit, 0);
  });
});
