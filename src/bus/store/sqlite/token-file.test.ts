import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { hashOfSecret, type NewToken } from '../../../events/token.ts';
import { aFact, tempFolder, testClock } from '../store.fixtures.ts';
import { makeFirstDatabase } from './first-database.fixtures.ts';
import { openSqliteStore } from './open.ts';
import { createToken, listTokens, revokeTokens } from './token-file.ts';

const wanted: NewToken = { name: 'ADA', kind: 'agent', scopes: ['read'], per_minute: 60, expires_in_ms: 1000 };

describe('tokens in the database file', () => {
  it('are made beside a bus that writes, and it knows them at once', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const clock = testClock();
    const store = await openSqliteStore({ file, clock: clock.read });
    t.after(() => store.close());
    const publishing = Promise.all(Array.from({ length: 200 }, () => store.publish(aFact())));
    const { token, secret } = await createToken(file, wanted, clock.read);
    await publishing;
    assert.deepEqual(await store.token(hashOfSecret(secret)), token);
    assert.equal(token.expiresAt, clock.now + 1000);
    assert.equal(existsSync(`${file}-wal`), true);
    assert.ok(!readFileSync(file).includes(secret) && !readFileSync(`${file}-wal`).includes(secret));
    await revokeTokens(file, 'ADA', clock.read);
    assert.equal((await store.token(hashOfSecret(secret)))?.revokedAt, clock.now);
    assert.equal((await store.publish(aFact())).kind, 'stored');
  });

  it('are made where there is no database yet, which the first start then takes as its own', async (t) => {
    const file = join(tempFolder(t), 'new/events.db');
    const { secret } = await createToken(file, wanted, Date.now);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const store = await openSqliteStore({ file, clock: Date.now });
    t.after(() => store.close());
    assert.equal((await store.token(hashOfSecret(secret)))?.name, 'ADA');
    assert.deepEqual(store.notices, []);
  });

  it('of a file that is taken are not made', async (t) => {
    const folder = tempFolder(t);
    const file = join(folder, 'events.db');
    writeFileSync(join(folder, 'taken'), 'mine');
    await assert.rejects(createToken(file, wanted, Date.now, join(folder, 'taken')), { code: 'conflict' });
    assert.equal(readFileSync(join(folder, 'taken'), 'utf8'), 'mine');
    assert.deepEqual(await listTokens(file, Date.now), []);
  });

  it('that cannot be stored leave no file behind', async (t) => {
    const folder = tempFolder(t);
    const file = join(folder, 'events.db');
    const impossible = { ...wanted, kind: 'robot' } as unknown as NewToken;
    await assert.rejects(createToken(file, impossible, Date.now, join(folder, 'x.token')), /CHECK constraint/);
    assert.ok(!existsSync(join(folder, 'x.token')));
  });

  it('are not put into a database that a start must bring up to date first, nor into a foreign one', async (t) => {
    const folder = tempFolder(t);
    makeFirstDatabase(join(folder, 'first.db'), () => undefined);
    const make = (name: string) => createToken(join(folder, name), wanted, Date.now);
    await assert.rejects(make('first.db'), { code: 'unavailable', hint: /leveredge bus/ });
    const foreign = new DatabaseSync(join(folder, 'foreign.db'));
    foreign.exec('PRAGMA application_id = 7; CREATE TABLE x (y)');
    foreign.close();
    await assert.rejects(make('foreign.db'), { code: 'damaged' });
    writeFileSync(join(folder, 'none.db'), 'no database at all, whatever its name says '.repeat(50));
    await assert.rejects(make('none.db'), { code: 'damaged' });
  });

  it('are revoked by id, the beginning of one or name; the first time counts', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const clock = testClock();
    const make = async (name: string) => (await createToken(file, { ...wanted, name }, clock.read)).token.id;
    const [a, b, c] = [await make('A'), await make('B'), await make('B')];
    clock.now += 5;
    const revokedAt = clock.now;
    assert.deepEqual(
      (await revokeTokens(file, a, clock.read)).map((one) => one.revokedAt),
      [revokedAt],
    );
    clock.now += 5;
    assert.deepEqual(
      (await revokeTokens(file, a, clock.read)).map((one) => one.revokedAt),
      [revokedAt],
    );
    assert.deepEqual(
      (await revokeTokens(file, 'B', clock.read)).map(({ id }) => id),
      [b, c].sort(),
    );
    for (const none of ['A', 'B', 'C', '', '%', a.slice(0, 3)])
      await assert.rejects(revokeTokens(file, none, clock.read), { code: 'not-found' }, none);
    await assert.rejects(revokeTokens(file, a.slice(0, 8), clock.read), { code: 'usage', message: /Several tokens/ });
    assert.equal((await listTokens(file, clock.read)).length, 3);
  });
});
