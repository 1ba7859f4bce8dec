import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { copyOf, differences, fillDatabase, folder, gaiaLauncher, makeStand, rowsOf, run } from './gaia.fixtures.ts';

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

  it('is printed for any backup where none can be found, and that unpacks this one', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const empty = folder(t);
    const printed = await run(process.execPath, [gaiaLauncher, 'runbook'], { LEVEREDGE_HOME: empty });
    assert.equal(printed.exit, 0, printed.stderr);
    assert.match(printed.stderr, /no backup to be found/);
    const name = readdirSync(join(stand.backups, 'dev')).find((each) => each.endsWith('.tar.zst')) as string;
    const env = {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      ARCHIVE: join(stand.backups, 'dev', name),
      WORK: join(empty, 'a b', 'work'),
    };
    const unasked = await run('sh', ['-c', printed.stdout], { PATH: env.PATH });
    assert.notEqual(unasked.exit, 0);
    const done = await run('sh', ['-c', printed.stdout], env);
    assert.equal(done.exit, 0, `${done.stdout}${done.stderr}\n${printed.stdout}`);
    assert.equal(readFileSync(join(env.WORK, 'files/dev/notes'), 'utf8'), 'the first state\n');
    assert.equal(rowsOf(join(env.WORK, 'sqlite/events.db')), 10);
    assert.match(readFileSync(join(env.WORK, 'RESTORE.txt'), 'utf8'), /# 3\. Databases[\s\S]*# 4\. Move/);
    const manifest = env.ARCHIVE.replace('.tar.zst', '.manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replaceAll(/"sha256": ?"\w/g, '"sha256": "-'));
    const another = await run('sh', ['-c', printed.stdout], { ...env, WORK: join(empty, 'second') });
    assert.equal(another.exit, 1);
    assert.match(another.stderr, /not what its manifest says/);
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
