import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { makeStand } from './gaia.fixtures.ts';

it('removes no manifest whose archive is still being copied there, or was moved to another disk', async (t) => {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const folder = join(stand.backups, 'dev');
  const archive = readdirSync(folder).find((name) => name.endsWith('.tar.zst')) as string;
  const away = join(stand.home, archive);
  renameSync(join(folder, archive), away);
  writeFileSync(join(folder, 'somebody.manifest.json'), '{}');
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  assert.ok(readdirSync(folder).includes('somebody.manifest.json'));
  copyFileSync(away, join(folder, archive));
  const verified = await stand.gaia('verify', join(folder, archive));
  assert.equal(verified.exit, 0, verified.stderr);
});

it('removes the manifest that a backup left which was ended between its manifest and its name', async (t) => {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const folder = join(stand.backups, 'dev');
  const archive = readdirSync(folder).find((name) => name.endsWith('.tar.zst')) as string;
  const stem = 'dev-2020-01-01-000000';
  const from = archive.replace(/\.tar\.zst$/, '');
  renameSync(join(folder, archive), join(folder, `.${stem}.tar.zst.partial`));
  for (const end of ['.manifest.json', '.manifest.json.sig'])
    renameSync(join(folder, from + end), join(folder, stem + end));
  mkdirSync(join(folder, `.${stem}.tar.zst.work`));
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes(stem)),
    [],
  );
});
