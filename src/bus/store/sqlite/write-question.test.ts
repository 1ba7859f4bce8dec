import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { aQuestion, minute, stored, tempFolder, testClock } from '../store.fixtures.ts';
import { openSqliteStore } from './open.ts';

describe('a question in its table', () => {
  it('keeps the time and the channel by which a person first saw it', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: clock.read });
    t.after(() => store.close());
    const { id } = await stored(store, aQuestion());
    const shownAt = clock.now;
    for (const via of ['telegram', 'cli']) {
      await store.noteShown(id, via);
      clock.now += minute;
    }
    const db = new DatabaseSync(file, { readOnly: true });
    t.after(() => db.close());
    const row = db.prepare('SELECT shown_at, shown_via FROM questions').get();
    assert.deepEqual({ ...row }, { shown_at: shownAt, shown_via: 'telegram' });
  });
});
