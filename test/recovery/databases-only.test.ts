import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fillDatabase, makeStand, rowsOf } from './gaia.fixtures.ts';

describe('a backup of the databases alone', () => {
  it('is restored with --only db and never instead of a whole one', async (t) => {
    const stand = makeStand(t);
    const whole = String((await stand.json(0, 'backup', 'dev')).name);
    fillDatabase(stand.database, 5);
    writeFileSync(join(stand.root, 'notes'), 'second\n');
    const alone = String((await stand.json(0, 'backup', 'dev', '--only', 'db')).name);
    const held = execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -tf -', 'sh', join(stand.backups, 'dev', alone)], {
      encoding: 'utf8',
    });
    assert.match(held, /^sqlite\/events\.db$/m);
    assert.doesNotMatch(held, /^files/m);
    const { backups } = (await stand.json(0, 'list')) as { backups: { name: string; contents: string }[] };
    assert.deepEqual(
      backups.map(({ name, contents }) => [name, contents]),
      [
        [alone, 'databases'],
        [whole, 'all'],
      ],
    );
    assert.match((await stand.gaia('list')).stdout, /sound, databases only/);
    assert.equal((await stand.gaia('verify', alone, '--deep')).exit, 0);
    for (const words of [[], ['--only', 'files'], ['--only', 'notes']]) {
      const refused = await stand.gaia('restore', 'dev', '--backup', alone, '--yes', ...words);
      assert.equal(refused.exit, 2, refused.stderr);
      assert.match(refused.stderr, /holds the databases of dev and nothing else/);
    }
    fillDatabase(stand.database, 5);
    writeFileSync(join(stand.root, 'notes'), 'third\n');
    assert.equal((await stand.gaia('restore', 'dev', '--only', 'db', '--yes')).exit, 9);
    assert.equal(rowsOf(stand.database), 15);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'third\n');
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(rowsOf(stand.database), 10);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });

  it('needs databases, and is kept beside whole ones', async (t) => {
    const stand = makeStand(t);
    writeFileSync(
      stand.config,
      `backup_locations: { local: ${stand.backups} }\nretention: { keep_last: 1, hourly: 1, daily: 1, weekly: 1, monthly: 1 }\n` +
        `restore_targets: { data-plane: { dev: { root: ${stand.root} } } }\n`,
    );
    const whole = String((await stand.json(0, 'backup', 'dev')).name);
    for (let n = 0; n < 2; n++) assert.equal((await stand.gaia('backup', 'dev', '--only', 'db')).exit, 0);
    const plan = JSON.stringify(await stand.json(0, 'prune', '--dry-run'));
    assert.match(plan, new RegExp(whole));
    assert.doesNotMatch(plan, new RegExp(`${whole}[^}]*"keep":false`));
    assert.equal((await stand.gaia('backup', 'dev', '--only', 'files')).exit, 2);
    rmSync(join(stand.root, 'state'), { recursive: true });
    const none = await stand.gaia('backup', 'dev', '--only', 'db');
    assert.equal(none.exit, 5, none.stderr);
  });
});
