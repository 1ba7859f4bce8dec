import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { testStore } from '../store.contract.ts';
import { type TestClock, tempFolder } from '../store.fixtures.ts';
import { openSqliteStore } from './open.ts';

testStore('SQLite', async (t: TestContext, clock: TestClock) => {
  const file = join(tempFolder(t), 'events.db');
  const open = () => openSqliteStore({ file, clock: clock.read });
  let store = await open();
  t.after(() => store.close());
  const again = async () => {
    await store.close();
    store = await open();
    return store;
  };
  return { store, again };
});
