import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Around } from '../../src/gaia/command.ts';
import { run } from '../../src/gaia/program.ts';
import { fromBase32 } from '../../src/gaia/two-factor/base32.ts';
import { tryCode } from '../../src/gaia/two-factor/guard.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { takeLock } from '../../src/recovery/run/lock.ts';

const nowMs = 1_764_412_345_000;

/** A home, and a person at its terminal who types what `types` says, and who sees the key. */
function home(t: TestContext, { terminal = true, columns = 80 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'enroll-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'config.yaml');
  mkdirSync(join(folder, 'dev'));
  writeFileSync(
    config,
    `backup_locations: { local: ${folder}/backups }\nrestore_targets: { data-plane: { dev: { root: ${folder}/dev } } }\n`,
  );
  const said: string[] = [];
  const shown: string[] = [];
  const keyShown = () => fromBase32(said.findLast((line) => /^ {2}[A-Z2-7 ]+$/.test(line)) ?? '') as Buffer;
  const on = {
    ...{ folder, said, shown, keyShown, secretFile: join(folder, '.2fa_secret') },
    files: { secretFile: join(folder, '.2fa_secret'), codesFile: join(folder, '.2fa_backup_codes') },
    place: { state: join(folder, 'backups', '.gaia') },
    code: (away = 0) => codeAt(keyShown(), stepAt(nowMs) + away),
    gaia(types: (n: number) => string | undefined, ...argv: string[]) {
      let n = 0;
      const around = {
        ...{ clock: () => nowMs, uid: 0, home: folder, configFile: config, color: false, ownPids: new Set() },
        terminal: { in: terminal, out: terminal, err: terminal, columns },
        signal: new AbortController().signal,
        say: (line: string) => void said.push(line),
        show: (drawing: string) => void shown.push(drawing),
        sketch: () => undefined,
        ask: async () => types(n++),
      } as unknown as Around;
      return run(argv, around);
    },
  };
  return on;
}

const codesIn = (text: string) => text.match(/[0-9A-Z]{5}-[0-9A-Z]{5}/g) ?? [];

describe('gaia 2fa enroll', () => {
  it('shows a secret, has it proven, and keeps it where its owner alone reads it', async (t) => {
    const on = home(t);
    writeFileSync(on.secretFile, '', { mode: 0o600 });
    const { exit, stdout, stderr } = await on.gaia((n) => (n === 0 ? '000 000' : on.code()), '2fa', 'enroll');
    assert.equal(exit, 0);
    assert.match(
      stderr,
      /Still missing.*\/\.telegram_token\n.*\/\.authorized_users\n.*^ {2}systemctl enable --now gaia-runner gaia-emergency$/ms,
    );
    assert.equal(codesIn(stdout).length, 10);
    assert.equal(new Set(codesIn(stdout)).size, 10);
    for (const file of Object.values(on.files)) assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(fromBase32(readFileSync(on.secretFile, 'utf8')), on.keyShown());
    const widest = Math.max(...(on.shown[0] as string).split('\n').map((line) => line.length));
    assert.ok(widest > 30 && widest <= 80, String(widest));
    // The code that proved it was seen by whoever looked over the shoulder, and confirms nothing.
    assert.equal(tryCode(on.place, on.files, on.code(), nowMs).kind, 'used');
    assert.equal(tryCode(on.place, on.files, on.code(1), nowMs).kind, 'right');
    assert.equal(tryCode(on.place, on.files, codesIn(stdout)[3] as string, nowMs).kind, 'right');
  });

  it('keeps nothing that was not proven', async (t) => {
    const on = home(t);
    for (const types of [() => '000000', () => on.code(10), () => undefined]) {
      const { exit, stdout } = await on.gaia(types, '2fa', 'enroll');
      assert.deepEqual([exit, stdout, existsSync(on.secretFile)], [2, '', false]);
    }
  });

  it('replaces one only when told so, and what was before counts no more', async (t) => {
    const on = home(t);
    const first = await on.gaia(() => on.code(), '2fa', 'enroll');
    const before = readFileSync(on.secretFile, 'utf8');
    const refused = await on.gaia(() => on.code(), '2fa', 'enroll');
    assert.deepEqual([refused.exit, readFileSync(on.secretFile, 'utf8')], [6, before]);
    assert.match(refused.stderr, /gaia 2fa enroll --replace/);
    assert.equal((await on.gaia(() => '000000', '2fa', 'enroll', '--replace')).exit, 2);
    assert.equal(readFileSync(on.secretFile, 'utf8'), before);
    for (const name of ['.telegram_token', '.authorized_users']) writeFileSync(join(on.folder, name), '1');
    const replaced = await on.gaia(() => on.code(), '2fa', 'enroll', '--replace');
    assert.equal(replaced.exit, 0);
    assert.match(replaced.stderr, /^ {2}systemctl restart gaia-runner gaia-emergency$/m);
    assert.notEqual(readFileSync(on.secretFile, 'utf8'), before);
    for (const old of [codeAt(fromBase32(before) as Buffer, stepAt(nowMs)), codesIn(first.stdout)[0] as string])
      assert.equal(tryCode(on.place, on.files, old, nowMs).kind, 'wrong');
  });

  it('gives the authenticator an entry for each target when told so, each proven by its own code', async (t) => {
    const on = home(t);
    const two = `dev: { root: ${on.folder}/dev }, prod: { root: ${on.folder}/prod }`;
    const config = join(on.folder, 'config.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace(/dev: \{ root: [^}]*\}/, two));
    const keys: Buffer[] = [];
    const types = () => {
      keys.push(on.keyShown());
      return on.code();
    };
    assert.equal((await on.gaia((n) => (n < 2 ? types() : '000000'), '2fa', 'enroll', '--each')).exit, 2);
    assert.equal(existsSync(on.secretFile), false);
    keys.length = 0;
    assert.equal((await on.gaia(types, '2fa', 'enroll', '--each')).exit, 0);
    assert.match(readFileSync(on.secretFile, 'utf8'), /^[A-Z2-7]{32}\neach: prod dev full Approvals\n$/);
    assert.deepEqual(on.said.filter((line) => /^Entry/.test(line)).slice(-4, -2), [
      'Entry 1 of 4: prod',
      'Entry 2 of 4: dev',
    ]);
    assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, 4);
    assert.equal(statSync(on.secretFile).mode & 0o777, 0o600);
    const [prod, dev] = keys.map((key) => codeAt(key, stepAt(nowMs) + 1)) as [string, string];
    assert.equal(tryCode(on.place, on.files, dev, nowMs, 'prod').kind, 'wrong');
    assert.equal(tryCode(on.place, on.files, prod, nowMs, 'prod').kind, 'right');
    // Replaced it stays so.
    assert.equal((await on.gaia(types, '2fa', 'enroll', '--replace')).exit, 0);
    assert.match(readFileSync(on.secretFile, 'utf8'), /\neach: prod dev full Approvals\n$/);
  });

  it('gives an entry for full also where there is one target, which may be asked for so', async (t) => {
    const on = home(t);
    assert.equal((await on.gaia(() => on.code(), '2fa', 'enroll', '--each')).exit, 0);
    assert.match(readFileSync(on.secretFile, 'utf8'), /\neach: dev full Approvals\n$/);
  });

  it('shows nothing while a run keeps what it would show from being kept', async (t) => {
    const on = home(t);
    const lock = takeLock(on.place, 'restore prod', () => nowMs);
    const { exit, stderr } = await on.gaia(() => on.code(), '2fa', 'enroll');
    lock.release();
    assert.deepEqual([exit, on.shown, existsSync(on.secretFile)], [6, [], false]);
    assert.match(stderr, /Another run works on these backups \(restore prod/);
    assert.equal((await on.gaia(() => on.code(), '2fa', 'enroll')).exit, 0);
  });

  it('needs a terminal, and a file that others cannot read', async (t) => {
    assert.equal((await home(t, { terminal: false }).gaia(() => '', '2fa', 'enroll')).exit, 2);
    const on = home(t);
    writeFileSync(on.secretFile, 'x');
    chmodSync(on.secretFile, 0o644);
    const { exit, stderr } = await on.gaia(() => on.code(), '2fa', 'enroll');
    assert.equal(exit, 3);
    assert.match(stderr, /chmod 600/);
  });

  it('says the key alone where a code does not fit', async (t) => {
    const on = home(t, { columns: 30 });
    assert.equal((await on.gaia(() => on.code(), '2fa', 'enroll')).exit, 0);
    assert.deepEqual(on.shown, []);
  });
});

describe('gaia unlock', () => {
  it('reminds nobody of what backups lack, and neither does gaia 2fa enroll', async (t) => {
    const on = home(t);
    writeFileSync(join(on.folder, 'config.yaml'), 'restore_targets: { control-plane: { health: none } }\n');
    await on.gaia(() => on.code(), '2fa', 'enroll');
    await on.gaia(() => undefined, 'unlock');
    assert.doesNotMatch(on.said.join('\n'), /not encrypted/);
    await on.gaia(() => undefined, 'list');
    assert.match(on.said.join('\n'), /not encrypted/);
  });

  it('lets codes be tried again after ten wrong ones', async (t) => {
    const on = home(t);
    await on.gaia(() => on.code(), '2fa', 'enroll');
    for (let n = 0, at = nowMs; n < 10; n++, at += 16 * 60_000) tryCode(on.place, on.files, '000000', at);
    const late = nowMs + 86_400_000;
    const code = () => codeAt(on.keyShown(), stepAt(late));
    assert.equal(tryCode(on.place, on.files, code(), late).kind, 'locked');
    const unlocked = await on.gaia(() => undefined, 'unlock');
    assert.match(unlocked.stdout, /There were 10 wrong codes/);
    assert.equal(tryCode(on.place, on.files, code(), late).kind, 'right');
    assert.match((await on.gaia(() => undefined, 'unlock')).stdout, /Nothing was locked/);
  });
});
