import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { aFact, stored, tempFolder, testClock } from '../store.fixtures.ts';
import type { Passes } from '../store.ts';
import { openSqliteStore } from './open.ts';

describe('reading on while events are purged', () => {
  it('skips nothing that is left, also when what it was about to fetch has just gone', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: testClock().read });
    t.after(() => store.close());
    const other = new DatabaseSync(file);
    t.after(() => other.close());
    for (let n = 1; n <= 40; n++) await stored(store, aFact({ target: String(n) }));
    let isFirst = true;
    const passes: Passes = () => {
      if (isFirst) other.exec('DELETE FROM event_log WHERE seq <= 20');
      isFirst = false;
      return true;
    };
    const targets: (string | null)[] = [];
    for (let at = 0; at < store.head(); ) {
      const { events, upTo } = await store.readAfter(at, 64, passes);
      assert.ok(upTo > at);
      targets.push(...events.map(({ target }) => target));
      at = upTo;
    }
    assert.deepEqual(
      targets,
      Array.from({ length: 20 }, (_, i) => String(i + 21)),
    );
  });
});
