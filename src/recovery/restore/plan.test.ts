import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { knownKey } from '../archive/sign.ts';
import { makeBackup } from '../backup/make-backup.ts';
import type { Place } from '../place.ts';
import type { Target, Tree } from '../target.ts';
import { type OpenBackup, openBackup } from './open-backup.ts';
import { openFilesBelow } from './open-files.ts';
import { type PlanRequest, planRestore } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 16, 10, 30, 0);
const uid = process.getuid?.() ?? 0;

async function makeScene(t: TestContext, change: Partial<Tree> = {}) {
  const home = mkdtempSync(join(tmpdir(), 'plan-'));
  t.after(() => rmSync(home, { recursive: true }));
  const root = join(home, 'dev');
  mkdirSync(join(root, 'logs'), { recursive: true });
  mkdirSync(join(root, 'sub'));
  writeFileSync(join(root, 'sub/file'), 'twelve bytes');
  writeFileSync(join(root, 'other'), 'twelve bytes');
  const database = new DatabaseSync(join(root, 'events.db'));
  database.exec('CREATE TABLE t (x)');
  database.close();
  const at = (name: string) => join(home, name);
  const place: Place = {
    ...{ home, configFile: at('config.yaml'), backups: at('backups'), state: at('backups/.gaia') },
    ...{ signingKey: at('key'), publicKey: at('key.pub') },
  };
  const tree: Tree = { name: 'dev', root, exclude: [], mounts: { include: [], exclude: [] }, ...change };
  const target: Target = { name: 'dev', trees: [tree], databases: [], health: 'none' };
  const { file } = await makeBackup({
    ...{ target, place, reason: 'manual', set: null, clock: () => nowMs, tool: 'test', previousManifest: null },
    host: { name: 'h', kernel: 'k', os: 'o' },
    progress: () => undefined,
  });
  const backup = await openBackup(file, knownKey(place.publicKey));
  t.after(() => backup.close());
  const run = { id: 'run', stamp: '20260116T103000Z' };
  const plan = (more: Partial<PlanRequest> = {}, of: OpenBackup = backup) =>
    planRestore(of, { target, only: null, ignoreOpen: false, run, uid, ownPids: new Set([process.pid]), ...more }).plan;
  return { home, root, place, target, tree, backup, plan };
}

/** Another process that has a file open, for as long as the test runs. */
async function holdOpen(t: TestContext, file: string, how: 'a' | 'r'): Promise<ChildProcess> {
  const program = `require('node:fs').openSync(process.argv[1], process.argv[2]); console.log('open'); setInterval(() => {}, 1e6)`;
  const child = spawn(process.execPath, ['-e', program, file, how], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
  return child;
}

describe('the plan of a restore', () => {
  it('says what is replaced, how much it is and by whom it was signed, and touches nothing', async (t) => {
    const { home, root, plan } = await makeScene(t);
    const before = readdirSync(home);
    const { replaces, keeps, files, bytes, refusals, warnings, backup } = plan();
    assert.deepEqual(
      { replaces, keeps, files, refusals, warnings },
      { ...{ replaces: [root], keeps: [] }, ...{ files: 3, refusals: [], warnings: [] } },
    );
    assert.ok(bytes > 8192 && bytes < 20_000, `${bytes}`);
    assert.match(backup.signer ?? '', /^known /);
    assert.deepEqual(readdirSync(home), before);
  });

  it('has one hash for as long as it would do the same, and another when it would not', async (t) => {
    const { root, target, tree, plan } = await makeScene(t);
    const { hash } = plan();
    writeFileSync(join(root, 'came'), 'later');
    assert.equal(plan({ run: { id: 'another', stamp: '20270101T000000Z' } }).hash, hash);
    const changed: Partial<PlanRequest>[] = [
      { only: 'sub' },
      { only: 'db' },
      { target: { ...target, trees: [{ ...tree, root: `${root}-elsewhere` }] } },
      { target: { ...target, trees: [{ ...tree, exclude: ['logs'] }] } },
    ];
    const hashes = changed.map((more) => plan(more).hash);
    assert.equal(new Set([hash, ...hashes]).size, changed.length + 1);
  });

  it('warns of a signer whom this machine does not know, and refuses one who is another', async (t) => {
    const { backup, plan, home } = await makeScene(t);
    const unknown = await openBackup(backup.file, undefined);
    t.after(() => unknown.close());
    assert.match(plan({}, unknown).warnings.join(), /knows no key .* compare it with your recovery kit/);
    const other = await makeScene(t);
    const known = knownKey(other.place.publicKey);
    await assert.rejects(openBackup(backup.file, known), { code: 'damaged' });
    assert.notEqual(home, other.home);
  });

  it('refuses a backup of another target, a path outside, and one that the backup does not hold', async (t) => {
    const { plan, target } = await makeScene(t);
    assert.throws(() => plan({ target: { ...target, name: 'prod' } }), { code: 'conflict', message: /backup of dev/ });
    for (const only of ['../other', '/etc/passwd', 'sub/../../x', 'sub/./file'])
      assert.throws(() => plan({ only }), { code: 'usage', message: /outside the target/ }, only);
    assert.throws(() => plan({ only: 'nowhere' }), { code: 'not-found' });
  });

  it('refuses to give files to others without root, and to restore below a folder that became a symlink or went', async (t) => {
    const { root, plan } = await makeScene(t);
    const says = (more: Partial<PlanRequest>) =>
      plan(more)
        .refusals.map(({ code, says: text }) => `${code}: ${text}`)
        .join();
    assert.match(says({ uid: uid + 1 }), /^forbidden: .* belongs to user \d+, and only root/);
    assert.equal(says({ only: 'sub/file' }), '');
    rmSync(join(root, 'sub'), { recursive: true });
    assert.match(says({ only: 'sub/file' }), /^not-found: There is no folder/);
    symlinkSync('logs', join(root, 'sub'));
    assert.match(says({ only: 'sub/file' }), /^conflict: .* reached through a symlink/);
    assert.equal(says({}), '');
  });
});

describe('files that are open', { skip: readdirSync('/').includes('proc') ? false : 'needs /proc' }, () => {
  it('stop a restore when they are open for writing, and are only told of when for reading', async (t) => {
    const { root, plan } = await makeScene(t);
    const reader = await holdOpen(t, join(root, 'other'), 'r');
    const told = plan();
    assert.deepEqual([told.refusals, told.open.map(({ pid, writes }) => [pid, writes])], [[], [[reader.pid, false]]]);
    const writer = await holdOpen(t, join(root, 'sub/file'), 'a');
    const [refusal] = plan().refusals;
    assert.equal(refusal?.code, 'conflict');
    assert.match(refusal?.says ?? '', new RegExp(`process ${writer.pid} \\(.*node.*\\) has ${root}/sub/file open`));
    assert.deepEqual(plan({ ignoreOpen: true }).refusals, []);
    assert.deepEqual(openFilesBelow([root], new Set([reader.pid as number, writer.pid as number])), []);
    assert.deepEqual(openFilesBelow([`${root}/su`], new Set()), []);
  });

  it('do not stop it where they are in what stays: an excluded folder, or databases when only files are restored', async (t) => {
    const { root, target, tree, plan } = await makeScene(t);
    await holdOpen(t, join(root, 'logs/log'), 'a');
    await holdOpen(t, join(root, 'events.db'), 'a');
    assert.match(
      plan({ only: 'files' })
        .refusals.map(({ says }) => says)
        .join(),
      /logs\/log open\.$/,
    );
    const quiet: Target = { ...target, trees: [{ ...tree, exclude: ['logs'] }] };
    assert.deepEqual(plan({ only: 'files', target: quiet }).refusals, []);
    assert.match(
      plan({ target: quiet })
        .refusals.map(({ says }) => says)
        .join(),
      /events\.db open\.$/,
    );
  });
});
