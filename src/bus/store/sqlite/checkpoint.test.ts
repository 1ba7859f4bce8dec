import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { aFact, tempFolder, testClock } from '../store.fixtures.ts';
import type { Store } from '../store.ts';
import { openSqliteStore } from './open.ts';

const megabyte = 2 ** 20;

/** Stores about this many megabytes, in many commits. */
async function fill(store: Store, megabytes: number): Promise<void> {
  const details = { pad: 'x'.repeat(16 * 1024) };
  for (let i = 0; i < megabytes * 8; i++)
    await Promise.all(Array.from({ length: 8 }, () => store.publish(aFact({ details }))));
}

describe('the write-ahead log', () => {
  it('is moved into the database again and again, so that it stays small', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: testClock().read });
    t.after(() => store.close());
    await fill(store, 24);
    assert.ok(statSync(file).size > 16 * megabyte, 'most of it is in the database');
    assert.ok(statSync(`${file}-wal`).size < 8 * megabyte, 'and little in the log');
  });

  it('waits for a reader that needs it, and loses nothing', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: testClock().read });
    t.after(() => store.close());
    const reader = new DatabaseSync(file, { readOnly: true });
    reader.exec('BEGIN; SELECT count(*) FROM event_log');
    await fill(store, 12);
    assert.ok(statSync(`${file}-wal`).size > 12 * megabyte, 'the reader holds all of it');
    assert.equal((await store.stats()).head, 12 * 64);
    reader.close();
    await fill(store, 12);
    await store.close();
    const after = new DatabaseSync(file, { readOnly: true });
    t.after(() => after.close());
    assert.equal(after.prepare('SELECT count(*) AS n FROM event_log').get()?.n, 24 * 64);
    assert.equal(after.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
  });
});
