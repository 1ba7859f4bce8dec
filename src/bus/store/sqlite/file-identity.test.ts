import assert from 'node:assert/strict';
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { aFact, tempFolder, testClock } from '../store.fixtures.ts';
import { openSqliteStore } from './open.ts';

async function opened(t: TestContext) {
  const file = join(tempFolder(t), 'events.db');
  const store = await openSqliteStore({ file, clock: testClock().read });
  t.after(() => store.close());
  await store.publish(aFact());
  const refuses = async () => {
    const fault = { code: 'unavailable', message: /was deleted, moved or replaced/ };
    await assert.rejects(store.publish(aFact()), fault);
    await assert.rejects(Promise.all([store.publish(aFact()), store.acknowledge('x', 'A')]), fault);
    await assert.rejects(store.stats(), fault);
  };
  return { file, store, refuses };
}

describe('a database that is taken away under the bus', () => {
  it('is noticed when it was deleted: nothing more is confirmed', async (t) => {
    const { file, refuses } = await opened(t);
    rmSync(file);
    await refuses();
  });

  it('is noticed when another file lies there', async (t) => {
    const { file, refuses } = await opened(t);
    renameSync(file, `${file}.old`);
    copyFileSync(`${file}.old`, file);
    await refuses();
  });

  it('works again when the very file is back', async (t) => {
    const { file, store, refuses } = await opened(t);
    renameSync(file, `${file}.old`);
    await refuses();
    renameSync(`${file}.old`, file);
    assert.equal((await store.publish(aFact())).kind, 'stored');
    assert.equal((await store.stats()).head, 2);
  });
});
