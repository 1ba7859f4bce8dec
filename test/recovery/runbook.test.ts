import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { copyOf, differences, fillDatabase, folder, makeStand, rowsOf, run } from './gaia.fixtures.ts';

const maker = join(import.meta.dirname, 'nasty-tree.py');
const top = '/tmp/gaia-by-hand';

describe('a restore by hand', { timeout: 120_000 }, () => {
  it('brings everything back by the printed commands, with zstd, tar and sqlite3 alone', async (t) => {
    rmSync(top, { recursive: true, force: true });
    t.after(async () => {
      await run('sh', ['-c', `rm -rf ${top} ${top}.by-hand ${top}.before-restore.*`]);
    });
    const stand = makeStand(t, { root: top });
    assert.equal((await run('python3', [maker, join(top, 'r')])).exit, 0);
    const kept = await copyOf(top, join(folder(t), 'kept'));
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const { stdout: script } = await stand.gaia('runbook', 'latest', '--target', 'dev');
    rmSync(join(top, 'r'), { recursive: true });
    writeFileSync(join(top, 'notes'), 'changed\n');
    // No node, no gaia: Debian's own programs.
    const done = await run('sh', ['-c', script], { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' });
    assert.equal(done.exit, 0, `${done.stdout}${done.stderr}\n${script}`);
    assert.match(done.stdout, /Signature Verified Successfully/);
    assert.equal(await differences(join(kept, 'r'), join(top, 'r'), '--kinds-left-out'), '');
    assert.equal(readFileSync(join(top, 'notes'), 'utf8'), 'the first state\n');
    assert.equal(rowsOf(stand.database), 10);
    assert.match(readFileSync(join(top, 'state/RESTORED.json'), 'utf8'), /"backup":"dev-/);
    const aside = readdirSync('/tmp').find((name) => name.startsWith('gaia-by-hand.before-restore.'));
    assert.equal(readFileSync(join('/tmp', aside as string, 'notes'), 'utf8'), 'changed\n');
  });

  it('works on a bare machine, where the folders above the target are missing too', async (t) => {
    const stand = makeStand(t);
    const outside = join(stand.home, 'elsewhere', 'a b', 'out.db');
    mkdirSync(join(stand.home, 'elsewhere', 'a b'), { recursive: true });
    fillDatabase(outside, 7);
    const yaml = readFileSync(stand.config, 'utf8');
    writeFileSync(stand.config, yaml.replace('} ]', `}, { name: out, engine: sqlite, path: "${outside}" } ]`));
    const kept = await copyOf(stand.root, join(folder(t), 'kept'));
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const { stdout: script } = await stand.gaia('runbook', 'latest', '--target', 'dev');
    for (const gone of ['data-plane', 'elsewhere']) rmSync(join(stand.home, gone), { recursive: true });
    const done = await run('sh', ['-c', script], { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' });
    assert.equal(done.exit, 0, `${done.stdout}${done.stderr}\n${script}`);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), readFileSync(join(kept, 'notes'), 'utf8'));
    assert.equal(rowsOf(stand.database), 10);
    assert.equal(rowsOf(outside), 7);
  });

  it('stops at a damaged archive, with nothing touched', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const { stdout: script } = await stand.gaia('runbook', 'latest', '--target', 'dev');
    const name = readdirSync(join(stand.backups, 'dev')).find((each) => each.endsWith('.tar.zst')) as string;
    const file = join(stand.backups, 'dev', name);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(file, bytes);
    const before = await copyOf(stand.root, join(folder(t), 'before'));
    const done = await run('sh', ['-c', script], { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' });
    assert.notEqual(done.exit, 0);
    assert.equal(await differences(before, stand.root), '');
  });
});
