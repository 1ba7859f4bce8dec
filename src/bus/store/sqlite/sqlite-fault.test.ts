import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { Fault } from '../../../base/fault.ts';
import { tempFolder } from '../store.fixtures.ts';
import { openSqliteStore } from './open.ts';
import { faultData, faultOf, sqliteFault } from './sqlite-fault.ts';

describe('errors of the database', () => {
  it('leave our own mistakes what they are, also across threads', () => {
    const mistake = new RangeError('Maximum call stack size exceeded');
    assert.equal(sqliteFault(mistake, 'events.db'), mistake);
    const carried = faultOf(structuredClone(faultData(mistake)));
    assert.ok(!(carried instanceof Fault));
    assert.equal(carried.message, mistake.message);
    assert.equal(carried.stack, mistake.stack);
  });

  it('become sentences with a way out', (t) => {
    const file = join(tempFolder(t), 'a.db');
    const db = new DatabaseSync(file, { timeout: 0 });
    const other = new DatabaseSync(file, { timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
    let thrown: unknown;
    try {
      other.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      thrown = error;
    }
    const fault = sqliteFault(thrown, file);
    assert.ok(fault instanceof Fault && fault.code === 'unavailable' && fault.hint);
    assert.match(fault.message, /Another program holds/);
    for (const each of [db, other]) each.close();
  });

  it('say so when the database is a folder', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    mkdirSync(file);
    await assert.rejects(
      openSqliteStore({ file, clock: Date.now }),
      (error) => error instanceof Fault && error.code === 'unavailable' && error.message.includes(file),
    );
  });
});
