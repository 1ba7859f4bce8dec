import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { databaseFileIn } from '../../src/bus/database-file.ts';
import { openSqliteStore } from '../../src/bus/store/sqlite/open.ts';
import { verifyFile } from '../../src/bus/store/sqlite/verify-file.ts';
import { leveredge, start } from '../cli-run.fixtures.ts';

const events = 12_000;
const kept = 1_000;
const maxKills = 40;

const verify = (file: string) =>
  verifyFile({ file, checkpoints: [], keys: [], trustsOwnKeys: true, progress: () => undefined });

describe('a bus that is killed while it purges', () => {
  it('leaves a chain that verifies each time, and purges the rest in the end', { timeout: 240_000 }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'leveredge-purge-'));
    t.after(() => rmSync(home, { recursive: true, force: true }));
    const file = databaseFileIn(home);
    const store = await openSqliteStore({ file, clock: Date.now });
    for (let from = 0; from < events; from += 1000)
      await Promise.all(
        Array.from({ length: 1000 }, (_, n) => store.publish({ source_agent: 'ME', action: `noise_${n % 3}` })),
      );
    await store.close();
    mkdirSync(join(home, 'config'));
    const rules = `{ actions: 'noise_1', max_count: ${kept} }, { actions: '*', max_count: ${kept} }`;
    writeFileSync(join(home, 'config/leveredge.yaml'), `bus: { retention: [${rules}] }\n`);
    const purged: number[] = [];
    for (let round = 0; round < maxKills; round++) {
      const bus = start(['bus', '--home', home, '--port', '0']);
      await bus.says('stdout', /listens at/);
      await new Promise((go) => setTimeout(go, (round * 37) % 150));
      bus.child.kill('SIGKILL');
      await bus.ended;
      const verdict = verify(file);
      assert.deepEqual(verdict.findings, [], `round ${round}`);
      purged.push(verdict.purged);
      if (verdict.purged === events - 2 * kept) break;
    }
    t.diagnostic(`purged after each kill: ${purged.join(' ')}`);
    const bus = start(['bus', '--home', home, '--port', '0']);
    const [, url] = await bus.says('stdout', /listens at (http\S+)/);
    assert.equal((await leveredge(['retention', '--url', url as string])).exit, 0);
    bus.child.kill('SIGTERM');
    await bus.ended;
    const { found, purged: all } = verify(file);
    assert.deepEqual([found, all], [0, events - 2 * kept]);
  });
});
