import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { aFact, tempFolder, testClock } from '../store.fixtures.ts';
import type { WrittenBatch, WrittenDraft } from './commands.ts';
import { openDatabase } from './database.ts';
import { writerOf } from './writer.ts';

const drafts = (...fields: object[]) => fields.map((each) => ({ ...aFact(), details: null, ...each }) as WrittenDraft);
const once = { owner: 'anonymous', key: 'k', request: 'r' };

async function openWriter(t: TestContext) {
  const clock = testClock();
  const file = join(tempFolder(t), 'events.db');
  const { db } = await openDatabase(file, clock.read);
  t.after(() => db.close());
  const writer = writerOf(db, clock.read, file);
  const count = (table: string) => db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n as number;
  return { db, writer, count };
}

describe('a batch whose storing fails', () => {
  it('stores nothing of itself, its key is free, and its neighbours are stored', async (t) => {
    const { writer, count } = await openWriter(t);
    const unbindable = drafts({ id: 'a' }, { id: 'b', target: {} }, { id: 'c' });
    const { outcomes, committed } = writer.commit([
      { op: 'publish-batch', drafts: drafts({ id: 'before' }), once: null },
      { op: 'publish-batch', drafts: unbindable, once },
      { op: 'publish-batch', drafts: drafts({ id: 'after' }), once: { ...once, key: 'other' } },
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => 'value' in outcome),
      [true, false, true],
    );
    assert.equal(committed?.head, 2);
    assert.deepEqual([count('event_log'), count('idempotency_keys')], [2, 1]);
    const again = writer.commit([{ op: 'publish-batch', drafts: drafts({ id: 'a' }, { id: 'c' }), once }]);
    const batch = (again.outcomes[0] as { value: WrittenBatch }).value;
    assert.ok(batch.kind === 'published' && !batch.replayed);
    assert.deepEqual([count('event_log'), count('idempotency_keys')], [4, 2]);
  });

  it('for want of room stores nothing, and succeeds with its key when there is room again', async (t) => {
    const { db, writer, count } = await openWriter(t);
    const pages = db.prepare('PRAGMA page_count').get()?.page_count as number;
    db.exec(`PRAGMA max_page_count = ${pages + 2}`);
    const large = drafts(
      ...Array.from({ length: 100 }, (_, i) => ({ id: `e${i}`, details: JSON.stringify('x'.repeat(1000)) })),
    );
    const command = { op: 'publish-batch', drafts: large, once } as const;
    const full = writer.commit([command]);
    assert.ok('fault' in (full.outcomes[0] as object));
    assert.equal((full.outcomes[0] as { fault: { code: string } }).fault.code, 'storage-full');
    assert.deepEqual([count('event_log'), count('idempotency_keys')], [0, 0]);
    db.exec('PRAGMA max_page_count = 1000000');
    const { outcomes, committed } = writer.commit([command]);
    assert.ok('value' in (outcomes[0] as object));
    assert.equal(committed?.head, 100);
    assert.deepEqual([count('event_log'), count('idempotency_keys')], [100, 1]);
  });
});
