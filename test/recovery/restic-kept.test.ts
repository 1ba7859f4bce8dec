import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { copyOf, differences, folder, leftBehind, rowsOf, run } from './gaia.fixtures.ts';
import { makeResticStand, notHere, type ResticStand } from './restic.fixtures.ts';

const missing = notHere('restic');
if (missing !== undefined) console.log(`NOT RUN: what is kept in a repository of restic: there is no ${missing}`);

const backUp = async (stand: ResticStand) => String((await stand.json(0, 'backup', 'dev')).name);

/** Backups that the repository has contents of. */
async function inRepository(stand: ResticStand): Promise<string[]> {
  const { backups } = (await stand.json(0, 'repository', 'list')) as { backups: { name: string }[] };
  return backups.map(({ name }) => name).sort();
}

/** As if the trash had been filled long ago: when, says the name of the folder. */
function ageTrash(stand: ResticStand): void {
  const trash = join(stand.backups, '.gaia', 'trash');
  for (const [n, name] of readdirSync(trash).entries())
    renameSync(join(trash, name), join(trash, `2026010${n + 1}T000000Z`));
}

describe('what is kept in a repository of restic', { skip: missing !== undefined, timeout: 120_000 }, () => {
  it('is forgotten two days after retention let it go, and never the newest or what is pinned', async (t) => {
    const stand = makeResticStand(t);
    const few = 'retention: { keep_last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 }\n';
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}${few}`);
    const names: string[] = [];
    for (let n = 0; n < 4; n++) {
      writeFileSync(join(stand.root, 'notes'), `${n}`.repeat(100_000));
      names.push(await backUp(stand));
    }
    const [pinned, taken, going, newest] = names as [string, string, string, string];
    await stand.json(0, 'pin', pinned);
    assert.deepEqual((await stand.json(0, 'prune', '--yes')).trashed, [going, taken]);
    assert.deepEqual(await inRepository(stand), [...names].sort());
    assert.deepEqual((await stand.json(0, 'prune', '--yes')).forgotten, [], 'two days have not gone by');
    ageTrash(stand);
    // One that somebody takes out again in time.
    const [trash = ''] = readdirSync(join(stand.backups, '.gaia', 'trash'));
    const stem = taken.replace('.restic', '');
    for (const end of ['.manifest.json.sig', '.manifest.json', '.restic'])
      renameSync(
        join(stand.backups, '.gaia', 'trash', trash, 'dev', `${stem}${end}`),
        join(stand.backups, 'dev', `${stem}${end}`),
      );
    // A repository that cannot be worked on is told the next time.
    renameSync(stand.repository, `${stand.repository}.away`);
    const left = await stand.gaia('prune', '--yes');
    assert.equal(left.exit, 0, left.stderr);
    assert.match(left.stderr, /Not removed from its repository, and left in the trash: .*There is no repository at/s);
    assert.deepEqual(readdirSync(join(stand.backups, '.gaia', 'trash')).includes(trash), true);
    renameSync(`${stand.repository}.away`, stand.repository);
    // It was let go again, and rests for two days more.
    const pruned = await stand.json(0, 'prune', '--yes');
    assert.deepEqual(pruned.forgotten, [going]);
    assert.deepEqual(await inRepository(stand), [pinned, taken, newest].sort());
    for (const name of [pinned, newest]) assert.equal((await stand.json(0, 'verify', name, '--deep')).state, 'sound');
    await stand.json(0, 'restore', 'dev', '--yes', '--backup', pinned);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), '0'.repeat(100_000));
  });

  it('of backups that were ended in the middle goes after two days', async (t) => {
    const stand = makeResticStand(t);
    const name = await backUp(stand);
    const leave = (backup: string, ...time: string[]) =>
      stand.restic(
        'backup',
        '--tag',
        `leveredge,leveredge-whole,target=dev,backup=${backup}`,
        ...time,
        '--',
        stand.root,
      );
    await leave('dev-2026-01-01-000000.restic', '--time', '2026-01-01 00:00:00');
    await leave('dev-2026-01-02-000000.restic');
    await stand.restic('backup', '--tag', 'mine', '--time', '2026-01-01 00:00:00', '--', stand.root);
    const pruned = await stand.json(0, 'prune', '--yes');
    assert.deepEqual(pruned.unfinished_forgotten, ['dev-2026-01-01-000000.restic']);
    assert.deepEqual(await inRepository(stand), ['dev-2026-01-02-000000.restic', name]);
    assert.match(await stand.restic('snapshots'), /mine/, 'of somebody else');
    renameSync(stand.repository, `${stand.repository}.away`);
    const away = await stand.gaia('prune', '--yes');
    assert.equal(away.exit, 0);
    assert.match(away.stderr, /Not looked for what unfinished backups have left: There is no repository/);
  });

  it('has the secrets of the control plane, of which one archive without them is kept beside it', async (t) => {
    const stand = makeResticStand(t);
    const text = readFileSync(stand.config, 'utf8').replace(
      'restore_targets:\n',
      `engine: restic\nrestic: { repository: ${stand.repository}, environment_file: gaia/restic.env }\nrestore_targets:\n  control-plane: { health: none }\n`,
    );
    writeFileSync(stand.config, text);
    const put = (path: string, says: string) => {
      mkdirSync(dirname(join(stand.home, path)), { recursive: true });
      writeFileSync(join(stand.home, path), says, { mode: 0o600 });
    };
    put('control-plane/a', 'a');
    put('config/b', 'b');
    put('shared/credentials/token', 'secret');
    put('gaia/.2fa_secret', 'two');
    const made = await stand.json(0, 'backup', 'full');
    const results = made.results as { name: string; target: string; path: string }[];
    assert.deepEqual(
      results.map(({ target, name }) => [target, /\.tar\.zst$/.test(name)]),
      [
        ['control-plane', true],
        ['control-plane', false],
        ['dev', false],
      ],
    );
    const listed = await run('sh', ['-c', 'zstd -dcq "$1" | tar -t', 'sh', String(results[0]?.path)]);
    assert.match(listed.stdout, /files\/config\/b/);
    assert.doesNotMatch(listed.stdout, /token|2fa_secret/);
    const held = await stand.restic('ls', '--tag', 'target=control-plane,leveredge-whole', 'latest');
    assert.match(held, /2fa_secret/);
    assert.doesNotMatch(held, /restic-password|restic\.env/, 'what opens the repository lies in it');
    await stand.json(0, 'backup', 'full');
    await stand.json(0, 'prune', '--yes');
    const kept = readdirSync(join(stand.backups, 'control-plane'));
    assert.equal(kept.filter((name) => name.endsWith('.tar.zst')).length, 1, 'one archive stays');
    assert.equal(kept.filter((name) => name.endsWith('.restic')).length, 2);
    for (const path of ['control-plane', 'config', 'shared/credentials', 'data-plane'])
      rmSync(join(stand.home, path), { recursive: true });
    for (const path of ['control-plane', 'config', 'shared/credentials', 'data-plane'])
      mkdirSync(join(stand.home, path));
    rmSync(join(stand.home, 'gaia/.2fa_secret'));
    // As if it had been changed since the backup.
    writeFileSync(stand.passwordFile, 'pw \n');
    await stand.json(0, 'restore', 'full', '--yes');
    const read = (path: string) => readFileSync(join(stand.home, path), 'utf8');
    assert.deepEqual(['control-plane/a', 'config/b', 'shared/credentials/token', 'gaia/.2fa_secret'].map(read), [
      'a',
      'b',
      'secret',
      'two',
    ]);
    assert.equal(readFileSync(stand.passwordFile, 'utf8'), 'pw \n', 'an older password came back');
    await stand.json(0, 'backup', 'full');
  });

  it('leaves out the folder of backups that lies within the target, and so does what comes back', async (t) => {
    const home = folder(t);
    const root = join(home, 'all');
    const backups = join(root, 'var', 'backups');
    const stand = makeResticStand(t, { home, root, backups, repository: join(backups, 'repository') });
    mkdirSync(join(root, 'var', 'other'));
    await run('touch', ['-d', '@-1500000000.123456789', join(root, 'var')]);
    const kept = await copyOf(root, join(folder(t), 'kept'));
    rmSync(join(kept, 'var', 'backups'), { recursive: true });
    await run('touch', ['-r', join(root, 'var'), join(kept, 'var')]);
    const name = await backUp(stand);
    writeFileSync(join(backups, 'dev', 'mine'), 'not of the backup');
    await backUp(stand);
    const held = await stand.restic('ls', '--tag', 'leveredge-whole', 'latest');
    assert.doesNotMatch(held, /\/backups\/dev\/mine|\/backups\/repository/);
    writeFileSync(join(root, 'notes'), 'changed');
    const restored = await stand.gaia('restore', 'dev', '--yes', '--backup', name);
    assert.equal(restored.exit, 0, restored.stdout + restored.stderr);
    assert.ok(existsSync(join(backups, 'dev', 'mine')), 'the backups were swapped away');
    assert.equal(rowsOf(stand.database), 10);
    const ignored = ['var/backups', 'state/events.db', 'state/RESTORED.json', 'state'].flatMap((each) => [
      '--ignore',
      each,
    ]);
    const now = await copyOf(root, join(folder(t), 'now'));
    rmSync(join(now, 'var', 'backups'), { recursive: true });
    await run('touch', ['-r', join(root, 'var'), join(now, 'var')]);
    assert.equal(await differences(kept, now, ...ignored), '');
    assert.deepEqual(leftBehind(home), []);
    const byHand = await run('sh', [join(backups, 'dev', name)], { WORK: join(home, 'hand') });
    assert.equal(byHand.exit, 0, byHand.stderr);
    assert.equal(readFileSync(join(root, 'notes'), 'utf8'), 'the first state\n');
    assert.equal(rowsOf(stand.database), 10);
    chmodSync(root, 0o755);
  });
});
