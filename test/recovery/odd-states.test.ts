import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { makeStand, rowsOf } from './gaia.fixtures.ts';

/** Writes rows and ends without closing the database, so that they are in its log alone. */
function writeAndDie(database: string, rows: number): void {
  const program = `
    const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]);
    for (let n = 0; n < ${rows}; n++) db.exec("INSERT INTO event (text) VALUES ('late')");
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = spawnSync(process.execPath, ['-e', program, database]);
  assert.equal(signal, 'SIGKILL');
}

it('takes the log of a database along that is named by a symlink and lies outside the folders', async (t) => {
  const stand = makeStand(t);
  const real = join(stand.home, 'elsewhere', 'real.db');
  mkdirSync(join(stand.home, 'elsewhere'));
  renameSync(stand.database, real);
  symlinkSync(real, stand.database);
  writeAndDie(stand.database, 5);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
  assert.equal(rowsOf(real), 15);
});
