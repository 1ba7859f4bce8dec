import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Fault, type FaultCode } from '../../../base/fault.ts';
import { aFact, tempFolder, testClock } from '../store.fixtures.ts';
import { openDatabase } from './database.ts';
import { openSqliteStore } from './open.ts';
import { writerOf } from './writer.ts';

const clock = testClock();

async function filled(t: TestContext, events = 300): Promise<string> {
  const file = join(tempFolder(t), 'events.db');
  const store = await openSqliteStore({ file, clock: clock.read });
  await Promise.all(
    Array.from({ length: events }, (_, i) => store.publish(aFact({ details: { i, pad: 'x'.repeat(400) } }))),
  );
  await store.close();
  return file;
}

async function refuses(file: string, code: FaultCode, sentence: RegExp): Promise<void> {
  const before = readFileSync(file);
  await assert.rejects(openSqliteStore({ file, clock: clock.read }), (error) => {
    assert.ok(error instanceof Fault);
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    assert.ok(error.hint, 'says the way out');
    return true;
  });
  assert.ok(before.equals(readFileSync(file)), 'the file is as it was');
}

describe('opening the database', () => {
  it('refuses a file that is no database', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    writeFileSync(file, 'a letter to the owner, by mistake under this name');
    await refuses(file, 'damaged', /does not start like a SQLite database/);
  });

  it('refuses a damaged database', async (t) => {
    const file = await filled(t);
    const bytes = readFileSync(file);
    bytes.fill(0x55, 4096 * 3, 4096 * 12);
    writeFileSync(file, bytes);
    await refuses(file, 'damaged', /is damaged/);
  });

  it('refuses a newer schema', async (t) => {
    const file = await filled(t, 1);
    const db = new DatabaseSync(file);
    db.exec('PRAGMA user_version = 9999; PRAGMA wal_checkpoint(TRUNCATE)');
    db.close();
    await refuses(file, 'newer-schema', /schema 9999/);
  });

  it('refuses the database of another program', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE bookmarks (url TEXT)');
    db.close();
    await refuses(file, 'damaged', /another program/);
  });

  it('makes a new one where there is an empty file', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    writeFileSync(file, '');
    const store = await openSqliteStore({ file, clock: clock.read });
    assert.equal((await store.publish(aFact())).kind, 'stored');
    await store.close();
  });

  it('is the owner’s alone, with the files beside it', async (t) => {
    const folder = join(tempFolder(t), 'home');
    const file = join(folder, 'events.db');
    const { db } = await openDatabase(file, clock.read);
    t.after(() => db.close());
    for (const path of [file, `${file}-wal`, `${file}-shm`])
      assert.equal((statSync(path).mode & 0o777).toString(8), '600', path);
    assert.equal((statSync(folder).mode & 0o777).toString(8), '700');
  });

  it('has each commit on disk before it is answered', async (t) => {
    const { db } = await openDatabase(join(tempFolder(t), 'events.db'), clock.read);
    t.after(() => db.close());
    const says = (pragma: string) => Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
    assert.deepEqual([says('journal_mode'), says('synchronous')], ['wal', 2], '2 is FULL');
  });

  it('works in the writer’s own thread as in this one', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const worker = new URL('../../../bin/store-worker.ts', import.meta.url);
    const store = await openSqliteStore({ file, clock: clock.read, worker });
    const published = await Promise.all(Array.from({ length: 50 }, () => store.publish(aFact())));
    assert.deepEqual(
      published.map((p) => p.kind === 'stored' && p.receipt.seq),
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
    assert.equal((await store.events({}, { limit: 100 })).events.length, 50, 'reads see what was written');
    await store.close();
    writeFileSync(file, 'broken now');
    await assert.rejects(
      openSqliteStore({ file, clock: clock.read, worker }),
      (error) => error instanceof Fault && error.code === 'damaged',
    );
  });

  it('says that the disk is full, stores nothing then, and goes on when there is room', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: clock.read });
    t.after(() => store.close());
    await store.publish(aFact());
    // A limit on pages is SQLite's own full disk: the same SQLITE_FULL from the same place.
    const copy = join(tempFolder(t), 'full.db');
    await store.close();
    copyFileSync(file, copy);
    const { db } = await openDatabase(copy, clock.read);
    const writer = writerOf(db, clock.read, copy);
    const pages = db.prepare('PRAGMA page_count').get()?.page_count as number;
    db.exec(`PRAGMA max_page_count = ${pages + 2}`);
    const big = {
      op: 'publish',
      draft: { ...aFact(), details: JSON.stringify({ pad: 'x'.repeat(100_000) }) },
    } as const;
    const small = { op: 'publish', draft: { ...aFact(), details: null } } as const;
    const { outcomes, committed } = writer.commit([small, big, small]);
    assert.deepEqual(
      outcomes.map((o) => 'fault' in o && o.fault.code),
      ['storage-full', 'storage-full', 'storage-full'],
    );
    assert.equal(committed, undefined);
    db.exec('PRAGMA max_page_count = 1000000');
    const after = writer.commit([small, big]);
    assert.equal(after.committed?.head, 3, 'numbers go on without a gap');
    db.close();
  });
});
