import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { copyOf, differences, folder, isRoot, leftBehind, makeStand, rowsOf, run } from './gaia.fixtures.ts';

const maker = join(import.meta.dirname, 'nasty-tree.py');
/** A folder inside the staged tree's path may not make it longer than the kernel takes, so the stand lies high up. */
const shortName = '/tmp/gaia-nasty';

if (!isRoot) console.log('NOT TRIED as this user: owners, setuid, trusted xattrs');

describe('a tree with everything that backups lose', { timeout: 120_000 }, () => {
  it('comes back with every attribute, compared by another program', async (t) => {
    rmSync(shortName, { recursive: true, force: true });
    t.after(() => rmSync(shortName, { recursive: true, force: true }));
    const home = folder(t);
    const nasty = join(shortName, 'r');
    const stand = makeStand(t, { home, root: shortName });
    const made = await run('python3', [maker, nasty]);
    assert.equal(made.exit, 0, made.stderr);
    if (made.stdout) console.log(made.stdout.trim());
    const kept = await copyOf(nasty, join(folder(t), 'kept'));

    const backup = await stand.gaia('backup', 'dev');
    assert.equal(backup.exit, 0, backup.stdout + backup.stderr);
    assert.match(backup.stdout + backup.stderr, /a socket/, 'what was left out is said');
    assert.match(backup.stdout + backup.stderr, /a fifo/);
    const verified = await stand.gaia('verify', 'latest', '--target', 'dev');
    assert.equal(verified.exit, 0, verified.stdout + verified.stderr);

    rmSync(nasty, { recursive: true });
    const restored = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 9, restored.stdout + restored.stderr);
    assert.equal(await differences(kept, nasty, '--kinds-left-out'), '');
    assert.equal(existsSync(join(nasty, 'a socket')), false);
    assert.equal(rowsOf(stand.database), 10);
    assert.deepEqual(leftBehind(stand.backups), []);
  });

  it('comes back by hand, with zstd and tar alone', async (t) => {
    rmSync(shortName, { recursive: true, force: true });
    t.after(() => rmSync(shortName, { recursive: true, force: true }));
    const stand = makeStand(t, { root: shortName });
    const nasty = join(shortName, 'r');
    assert.equal((await run('python3', [maker, nasty])).exit, 0);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const found = readdirSync(join(stand.backups, 'dev')).find((name) => name.endsWith('.tar.zst'));
    assert.ok(found);
    const kept = `${shortName}-kept`;
    rmSync(kept, { recursive: true, force: true });
    renameSync(nasty, kept);
    t.after(() => rmSync(kept, { recursive: true, force: true }));
    const to = `${shortName}-hand`;
    t.after(() => rmSync(to, { recursive: true, force: true }));
    const archive = join(stand.backups, 'dev', found);
    const flags = "--xattrs --xattrs-include='*' --acls --numeric-owner -p";
    const script = `set -e; rm -rf ${to}; mkdir ${to}; zstd -dcq '${archive}' | tar -x ${flags} -C ${to}`;
    const byHand = await run('bash', ['-c', script]);
    assert.equal(byHand.exit, 0, byHand.stderr);
    const [tree] = readdirSync(join(to, 'files'));
    assert.equal(await differences(kept, join(to, 'files', tree as string, 'r'), '--kinds-left-out'), '');
  });
});
