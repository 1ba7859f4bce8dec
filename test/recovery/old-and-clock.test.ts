import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { copyOf, differences, folder, makeStand, run } from './gaia.fixtures.ts';

describe('archives of an older tool', { timeout: 120_000 }, () => {
  for (const [how, command] of [
    [
      'with one root folder',
      (root: string, file: string) => ['tar', '-C', join(root, '..'), '-czf', file, basename(root)],
    ],
    ['without one', (root: string, file: string) => ['tar', '-C', root, '-czf', file, '.']],
    ['with the whole path', (root: string, file: string) => ['tar', '-C', '/', '-czf', file, root.slice(1)]],
  ] as const)
    it(`${how} are listed, verified as far as they can be, and restored`, async (t) => {
      const stand = makeStand(t);
      const kept = await copyOf(stand.root, join(folder(t), 'kept'));
      const flat = join(stand.backups, 'dev');
      mkdirSync(join(flat, 'daily'), { recursive: true });
      const [program, ...args] = command(stand.root, join(flat, 'daily', 'dev_20250116_103000.tar.gz'));
      assert.equal((await run(program as string, args)).exit, 0);
      writeFileSync(join(stand.root, 'notes'), 'changed\n');
      const listed = JSON.parse((await stand.gaia('list', '--json')).stdout);
      assert.equal(listed.backups[0].state, 'unverified');
      assert.equal(listed.backups[0].bucket, 'daily');
      assert.equal(listed.backups[0].created_at, '2025-01-16T10:30:00.000Z');
      const verified = await stand.gaia('verify', 'latest', '--target', 'dev');
      assert.equal(verified.exit, 0, verified.stderr);
      assert.match(verified.stdout, /as far as it can be told/);
      const restored = await stand.gaia('restore', 'dev', '--yes');
      assert.equal(restored.exit, 9, restored.stderr);
      assert.match(restored.stderr, /older tool/);
      // Times in such archives are whole seconds.
      const now = join(folder(t), 'now');
      for (const tree of [kept, stand.root]) await run('find', [tree, '-exec', 'touch', '-h', '-d', '@1', '{}', '+']);
      await copyOf(stand.root, now);
      assert.equal(await differences(kept, now), '');
      assert.equal((await stand.gaia('undo', 'dev', '--yes')).exit, 9);
      assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    });
});

describe('a clock that was set', { timeout: 120_000 }, () => {
  it('back or forward by a year stops pruning, until somebody says that it is right', async (t) => {
    const stand = makeStand(t, { more: '' });
    for (let i = 0; i < 5; i++) {
      assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
      await new Promise((resolve) => setTimeout(resolve, 1050));
    }
    const record = join(stand.backups, '.gaia', 'clock.json');
    const right = JSON.parse(readFileSync(record, 'utf8'));
    const archives = () => readdirSync(join(stand.backups, 'dev')).filter((name) => name.endsWith('.tar.zst')).length;
    for (const ms of [-365 * 86_400_000, 365 * 86_400_000]) {
      // As if the clock had been set by so much since: the machine was up as long as it was.
      writeFileSync(record, JSON.stringify({ ...right, wall_ms: right.wall_ms - ms }));
      const refused = await stand.gaia('prune', '--yes');
      assert.equal(refused.exit, 6, refused.stderr);
      assert.match(refused.stderr, ms < 0 ? /set back/ : /set forward/);
      assert.equal(archives(), 5);
      const shown = await stand.gaia('prune', '--dry-run');
      assert.equal(shown.exit, 0);
      assert.match(shown.stderr, /clock may be wrong/);
    }
    writeFileSync(record, JSON.stringify({ ...right, boot_id: 'another', wall_ms: right.wall_ms - 30 * 86_400_000 }));
    assert.equal((await stand.gaia('prune', '--yes')).exit, 6);
    const pruned = await stand.gaia('prune', '--yes', '--clock-is-right');
    assert.equal(pruned.exit, 0, pruned.stderr);
    assert.equal(archives(), 3, 'keep-last 3; all are of one hour');
    assert.equal(readdirSync(join(stand.backups, '.gaia', 'trash')).length, 1);
  });

  it('removes what a restore put aside only when it is old enough', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    const aside = () => readdirSync(join(stand.root, '..')).filter((name) => name.includes('pre-restore')).length;
    assert.equal((await stand.gaia('prune', '--yes')).exit, 0);
    assert.equal(aside(), 1);
    const short = makeStand(t, { home: stand.home });
    writeFileSync(short.config, `${readFileSync(short.config, 'utf8')}keep_aside_hours: 1\n`);
    assert.equal((await short.gaia('prune', '--yes')).exit, 0);
    assert.equal(aside(), 1, 'an hour has not gone by');
  });
});
