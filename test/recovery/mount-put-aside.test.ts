import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { leftovers, removeLeftover } from '../../src/recovery/restore/undo.ts';
import { isRoot, makeStand, run } from './gaia.fixtures.ts';

const skip = isRoot ? false : 'needs root to mount';

/** Another file system at a folder, with one file. */
async function mountAt(at: string): Promise<string> {
  mkdirSync(at);
  const { exit, stderr } = await run('mount', ['-t', 'tmpfs', 'gaia-test', at]);
  assert.equal(exit, 0, stderr);
  writeFileSync(join(at, 'theirs'), 'of another disk');
  return join(at, 'theirs');
}

it('does not undo a restore when another file system was mounted inside since', { skip }, async (t) => {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
  const at = join(stand.root, 'mounted');
  const theirs = await mountAt(at);
  try {
    const { exit, stderr } = await stand.gaia('undo', 'dev', '--yes');
    assert.equal(exit, 6, stderr);
    assert.match(stderr, /mounted/);
    assert.equal(readFileSync(theirs, 'utf8'), 'of another disk');
  } finally {
    await run('umount', [at]);
  }
});

it('removes nothing that was put aside while another file system is mounted in it', { skip }, async (t) => {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
  const [leftover] = leftovers({ state: join(stand.backups, '.gaia') });
  assert.ok(leftover);
  const [aside] = leftover.paths as [string];
  const at = join(aside, 'mounted');
  const theirs = await mountAt(at);
  try {
    await assert.rejects(removeLeftover(leftover), /Another file system is mounted/);
    assert.equal(readFileSync(theirs, 'utf8'), 'of another disk');
    assert.ok(existsSync(join(aside, 'notes')));
  } finally {
    await run('umount', [at]);
  }
  await removeLeftover(leftover);
  assert.ok(!existsSync(aside));
});

it('restores no part that holds what is mounted, or lies in it', { skip }, async (t) => {
  const stand = makeStand(t, { more: 'mounts: { include: [sub/mounted, state] }' });
  mkdirSync(join(stand.root, 'sub', 'beside'), { recursive: true });
  const at = join(stand.root, 'sub', 'mounted');
  mkdirSync(at);
  writeFileSync(join(at, 'theirs'), 'of the backup');
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  rmSync(at, { recursive: true });
  const theirs = await mountAt(at);
  try {
    for (const only of ['sub', 'sub/mounted', 'sub/mounted/theirs', 'files']) {
      const { exit, stderr } = await stand.gaia('restore', 'dev', '--only', only, '--yes');
      assert.deepEqual([only, exit], [only, 6], stderr);
      assert.match(stderr, /Another file system is mounted at .*\/sub\/mounted/);
      assert.equal(readFileSync(theirs, 'utf8'), 'of another disk');
      assert.deepEqual(readdirSync(join(stand.root, 'sub')).sort(), ['beside', 'mounted']);
    }
    for (const only of ['sub/beside', 'db', 'notes'])
      assert.equal((await stand.gaia('restore', 'dev', '--only', only, '--yes')).exit, 9, only);
  } finally {
    await run('umount', [at]);
  }
});

it('restores no database alone that lies in what is mounted', { skip }, async (t) => {
  const stand = makeStand(t, { more: 'mounts: { include: [state] }' });
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const at = dirname(stand.database);
  rmSync(at, { recursive: true });
  const theirs = await mountAt(at);
  try {
    for (const only of ['db', 'state/events.db']) {
      const { exit, stderr } = await stand.gaia('restore', 'dev', '--only', only, '--yes');
      assert.deepEqual([only, exit], [only, 6], stderr);
    }
    assert.equal(readFileSync(theirs, 'utf8'), 'of another disk');
    assert.deepEqual(readdirSync(at), ['theirs']);
  } finally {
    await run('umount', [at]);
  }
});
