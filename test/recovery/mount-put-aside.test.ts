import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
    assert.throws(() => removeLeftover(leftover), /Another file system is mounted/);
    assert.equal(readFileSync(theirs, 'utf8'), 'of another disk');
    assert.ok(existsSync(join(aside, 'notes')));
  } finally {
    await run('umount', [at]);
  }
  removeLeftover(leftover);
  assert.ok(!existsSync(aside));
});
