import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gaiaLauncher, makeStand, rowsOf, run, type Stand } from './gaia.fixtures.ts';

const missing = ['age', 'age-keygen', 'zstd', 'sqlite3'].find(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
);
if (missing !== undefined) console.log(`NOT RUN: backups opened by other programs: there is no ${missing}`);

type Sealed = Stand & { usb: string; key: string; archive: string };

/** A stand whose backups are encrypted to a recovery key that lies apart, and one backup of it. */
async function makeSealed(t: TestContext): Promise<Sealed> {
  const stand = makeStand(t, { more: 'health: none' });
  const usb = join(stand.home, 'usb');
  const key = join(usb, 'recovery-key.txt');
  mkdirSync(usb);
  await stand.json(0, 'key', 'new', key);
  const { path } = await stand.json(0, 'backup', 'dev');
  return { ...stand, usb, key, archive: String(path) };
}

/** Files and rows are as they were when the stand was made. */
function assertBack(stand: Stand): void {
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  assert.equal(readFileSync(join(stand.root, 'compose.yml'), 'utf8'), 'services: {}\n');
  assert.equal(rowsOf(stand.database), 10);
}

describe('backups that are encrypted', () => {
  it('are sealed without the key, and come back with it, and with a key of the machine without it', async (t) => {
    const stand = await makeSealed(t);
    assert.match(stand.archive, /dev-[\d-]+\.tar\.zst\.age$/);
    assert.ok(!readFileSync(stand.archive).includes('the first state'));
    assert.equal((await stand.json(0, 'verify', 'latest')).state, 'sealed');
    assert.equal((await stand.json(0, 'verify', 'latest', '--identity', stand.key)).state, 'sound');
    assert.equal((await stand.json(0, 'verify', 'latest', '--deep', '--identity', stand.key)).state, 'sound');
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const refused = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(refused.exit, 3, refused.stderr);
    assert.match(refused.stderr, /is encrypted, and there is no key here.*\n.*--identity FILE/);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    assert.equal((await stand.json(0, 'restore', 'dev', '--yes', '--identity', stand.key)).outcome, 'committed');
    assertBack(stand);
    await stand.json(0, 'key', 'new', '--server');
    writeFileSync(join(stand.root, 'notes'), 'changed again\n');
    await stand.json(0, 'backup', 'dev');
    writeFileSync(join(stand.root, 'notes'), 'and again\n');
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed again\n');
    assert.equal(rowsOf(stand.database), 10);
    await stand.json(0, 'restore', 'dev', '--yes', '--only', 'notes');
  });

  it('remind of a key that was never proven, until it was, and refuse to be for this machine alone', async (t) => {
    const stand = await makeSealed(t);
    const never = /Nobody has seen yet that the recovery key opens a backup/;
    assert.match((await stand.gaia('backup', 'dev')).stderr, never);
    assert.match(
      (await stand.gaia('doctor')).stdout,
      /note +encryption +to 1 key elsewhere, none of which was ever seen/,
    );
    const other = join(stand.usb, 'other.txt');
    writeFileSync(other, execFileSync('age-keygen', { stdio: ['ignore', 'pipe', 'ignore'] }), { mode: 0o600 });
    const wrong = await stand.gaia('key', 'check', '--identity', other);
    assert.equal(wrong.exit, 3, wrong.stderr);
    assert.match(wrong.stderr, /none of the keys that were tried belongs to it|opens none of/);
    assert.match((await stand.gaia('backup', 'dev')).stderr, never);
    // A stick that knows no modes.
    chmodSync(stand.key, 0o755);
    assert.equal((await stand.gaia('key', 'check', '--identity', stand.key)).exit, 0);
    assert.doesNotMatch((await stand.gaia('backup', 'dev')).stderr, never);
    assert.match((await stand.gaia('doctor')).stdout, /ok +encryption +to 1 key elsewhere, 1 proven/);
    rmSync(join(stand.home, 'gaia', 'recipients.txt'));
    await stand.json(0, 'key', 'new', '--server');
    const alone = await stand.gaia('backup', 'dev');
    assert.equal(alone.exit, 2, alone.stderr);
    assert.match(alone.stderr, /Every key that dev is encrypted to lies on this machine/);
    chmodSync(join(stand.home, 'gaia', '.identity'), 0o644);
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 3);
  });

  it('tell a header that was altered, or a recipient removed, from a key that is not theirs', async (t) => {
    const stand = await makeSealed(t);
    const whole = readFileSync(stand.archive);
    const text = whole.toString('latin1');
    const line = text.indexOf('\n', text.indexOf('-> X25519')) + 1;
    const put = (bytes: Buffer) => writeFileSync(stand.archive, bytes);
    for (const at of [line + 3, text.indexOf('-> X25519') + 15, text.indexOf('--- ') + 6]) {
      const changed = Buffer.from(whole);
      changed.write(changed.toString('latin1', at, at + 1) === 'A' ? 'B' : 'A', at, 'latin1');
      put(changed);
      for (const words of [
        ['verify', stand.archive, '--identity', stand.key],
        ['restore', 'dev', '--yes', '--backup', stand.archive, '--identity', stand.key],
      ]) {
        const found = await stand.gaia(...words);
        assert.equal(found.exit, 7, `${words} ${at}: ${found.stdout}${found.stderr}`);
      }
      const sealed = await stand.gaia('verify', stand.archive);
      assert.equal(sealed.exit, 7, sealed.stdout);
    }
    // As long, with another recipient in the place of the one that was written.
    const other = join(stand.usb, 'other.txt');
    writeFileSync(other, execFileSync('age-keygen', { stdio: ['ignore', 'pipe', 'ignore'] }), { mode: 0o600 });
    const [, recipient = ''] = /public key: (\S+)/.exec(readFileSync(other, 'utf8')) ?? [];
    const plain = execFileSync('age', ['-d', '-i', stand.key], { input: whole, maxBuffer: 1e9 });
    put(execFileSync('age', ['-r', recipient], { input: plain, maxBuffer: 1e9 }));
    const removed = await stand.gaia('restore', 'dev', '--yes', '--backup', stand.archive, '--identity', stand.key);
    assert.equal(removed.exit, 7, removed.stderr);
    assert.match(removed.stderr, /does not open with a key that it is for/);
    put(whole.subarray(0, whole.length - 1000));
    assert.equal((await stand.gaia('verify', stand.archive, '--identity', stand.key)).exit, 7);
    put(whole);
    assert.equal((await stand.gaia('verify', stand.archive, '--identity', stand.key)).exit, 0);
  });

  it('never show a key that is mistyped, and say where', async (t) => {
    const stand = await makeSealed(t);
    const [identity = ''] = /AGE-SECRET-KEY-1\S+/.exec(readFileSync(stand.key, 'utf8')) ?? [];
    const typed = join(stand.usb, 'typed.txt');
    const swapped = identity.replace(/.$/, (last) => (last === 'Q' ? 'P' : 'Q'));
    for (const [text, says] of [
      [swapped, /is mistyped/],
      [identity.slice(0, -1), /line 1: .*it has 73 characters instead of 74/],
      [identity.replace(/.{3}$/, 'O0I'), /line 1: .*never occurs in a key/],
    ] as const) {
      writeFileSync(typed, `${text}\n`);
      for (const words of [
        ['verify', 'latest'],
        ['plan', 'dev'],
        ['restore', 'dev', '--yes'],
        ['drill', 'dev'],
        ['key', 'check'],
      ]) {
        const { exit, stdout, stderr } = await stand.gaia(...words, '--identity', typed);
        assert.equal(exit, 2, `${words}: ${stdout}${stderr}`);
        assert.match(stderr, says);
        assert.ok(!`${stdout}${stderr}`.toUpperCase().includes(text.slice(16, 50)), 'the key was shown');
      }
    }
    // As it comes from paper: in groups, in small letters.
    writeFileSync(typed, `${identity.toLowerCase().replace(/.{10}/g, '$& ')}\n`);
    assert.equal((await stand.gaia('key', 'check', '--identity', typed)).exit, 0);
  });

  it('go on with a restore that was begun with a key, where the key is brought back or another named', async (t) => {
    const stand = await makeSealed(t);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const away = join(stand.home, 'away.txt');
    for (const back of ['there', 'elsewhere'] as const) {
      const words = ['restore', 'dev', '--yes', '--identity', stand.key, '--here', '--config', stand.config];
      const child = spawn(process.execPath, [gaiaLauncher, ...words], {
        env: { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, GAIA_STOP_AT: 'after stage begin' },
        stdio: 'ignore',
      });
      for (const end = performance.now() + 30_000; performance.now() < end; await pause(20))
        if (/^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) break;
      child.kill('SIGKILL');
      await once(child, 'close');
      renameSync(stand.key, away);
      const without = await stand.gaia('resume', '--here');
      assert.equal(without.exit, 5, without.stderr);
      assert.match(without.stderr, /The key that this restore was begun with.*is not there/);
      if (back === 'there') renameSync(away, stand.key);
      const more = back === 'there' ? [] : ['--identity', away];
      const resumed = await stand.gaia('resume', '--here', ...more);
      assert.equal(resumed.exit, 0, resumed.stdout + resumed.stderr);
      assertBack(stand);
      await stand.json(0, 'undo', 'dev', '--yes');
    }
  });

  it('do not stop being encrypted because a file went away', async (t) => {
    const stand = await makeSealed(t);
    const file = join(stand.home, 'gaia', 'recipients.txt');
    const text = readFileSync(file, 'utf8');
    rmSync(file);
    const gone = await stand.gaia('backup', 'dev');
    assert.equal(gone.exit, 2, gone.stdout);
    assert.match(gone.stderr, /is encrypted, and this one would not be/);
    // Whoever hears of backups hears of it.
    const outbox = join(stand.backups, '.gaia', 'outbox');
    const told = readdirSync(outbox)
      .filter((name) => name.endsWith('.json'))
      .map((name) => readFileSync(join(outbox, name), 'utf8'));
    assert.ok(
      told.some((each) => /backup_failed/.test(each) && /would not be/.test(each)),
      'nobody is told',
    );
    for (const words of [
      ['key', 'new', join(stand.root, 'key.txt')],
      ['kit', '--out', join(stand.root, 'kit')],
    ])
      assert.match((await stand.gaia(...words)).stderr, /lies in .*beside what it opens/);
    assert.equal((await stand.gaia('doctor')).exit, 1);
    for (const bad of ['# nobody\n', 'nonsense\n', `${text.trim()} # mine\n`]) {
      writeFileSync(file, bad);
      assert.equal((await stand.gaia('backup', 'dev')).exit, 2, bad);
      // What reads backups goes on.
      assert.equal((await stand.gaia('list')).exit, 0);
      assert.equal((await stand.gaia('verify', 'latest', '--identity', stand.key)).exit, 0);
    }
    writeFileSync(file, text.trimEnd());
    const second = join(stand.usb, 'second.txt');
    await stand.json(0, 'key', 'new', second);
    const made = await stand.json(0, 'backup', 'dev');
    assert.match(String(made.path), /\.age$/);
    for (const key of [stand.key, second]) assert.equal((await stand.gaia('key', 'check', '--identity', key)).exit, 0);
    // Taken out on purpose: it is said, and done.
    const [recipient = ''] = /^age1\S+/m.exec(text) ?? [];
    writeFileSync(file, readFileSync(file, 'utf8').replace(recipient, ''));
    assert.equal((await stand.gaia('doctor')).exit, 1);
    const fewer = await stand.gaia('backup', 'dev');
    assert.equal(fewer.exit, 0, fewer.stderr);
    assert.match(fewer.stderr, /was encrypted to a key that it is not encrypted to any more/);
    assert.equal(
      (await stand.gaia('verify', 'latest', '--identity', stand.key)).exit,
      0,
      'the older key opens the newest one',
    );
    assert.equal((await stand.json(0, 'verify', 'latest', '--identity', stand.key)).state, 'sealed');
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}encrypt_to: none\n`);
    assert.doesNotMatch(String((await stand.json(0, 'backup', 'dev')).path), /\.age$/);
  });

  it('say what is wrong in the configuration, and never a secret', async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    const text = readFileSync(stand.config, 'utf8');
    const secret = 'AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ';
    for (const [value, says] of [
      [`[${secret}]`, /has a secret key in it/],
      ['[age1short]', /no recipient of age/],
      ['[ssh-ed25519 AAAA]', /no recipient of age/],
      ['[]', /is empty/],
      ['yes please', /must be a list of recipients/],
    ] as const) {
      writeFileSync(stand.config, `${text}encrypt_to: ${value}\n`);
      const refused = await stand.gaia('backup', 'dev');
      assert.equal(refused.exit, 2, refused.stderr);
      assert.match(refused.stderr, says);
      assert.ok(!refused.stderr.includes(secret.slice(18)));
    }
    writeFileSync(stand.config, text);
    writeFileSync(join(stand.home, 'gaia', 'recipients.txt'), '# mine\nnonsense\n');
    const refused = await stand.gaia('backup', 'dev');
    assert.equal(refused.exit, 2, refused.stderr);
    assert.match(refused.stderr, /recipients\.txt, line 2/);
  });
});

describe('backups that are encrypted, and other programs', { skip: missing !== undefined }, () => {
  it('are opened by age, zstd and tar, with the key or with the whole recovery kit', async (t) => {
    const stand = await makeSealed(t);
    const kit = join(stand.home, 'kit');
    await stand.json(0, 'kit', '--identity', stand.key, '--out', kit);
    for (const [n, identity] of [stand.key, join(kit, 'recovery-kit.txt')].entries()) {
      const to = join(stand.home, `opened-${n}`);
      mkdirSync(to);
      const script = 'set -o pipefail; age -d -i "$1" "$2" | zstd -dcq | tar -x -p -C "$3"';
      execFileSync('bash', ['-c', script, 'bash', identity, stand.archive, to]);
      assert.equal(readFileSync(join(to, 'files/dev/notes'), 'utf8'), 'the first state\n');
    }
    assert.equal((await stand.gaia('verify', 'latest', '--identity', join(kit, 'recovery-kit.txt'))).exit, 0);
  });

  it('come back by hand, as the runbook and the script of the kit say', async (t) => {
    const stand = await makeSealed(t);
    const kit = join(stand.home, 'kit');
    await stand.json(0, 'kit', '--identity', stand.key, '--out', kit);
    const script = (await stand.gaia('runbook', 'latest')).stdout;
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    writeFileSync(join(stand.home, 'by-hand.sh'), script);
    const without = await run('sh', [join(stand.home, 'by-hand.sh')]);
    assert.notEqual(without.exit, 0);
    assert.match(without.stderr, /IDENTITY: is the file with the key/);
    const ended = await run('sh', [join(stand.home, 'by-hand.sh')], { IDENTITY: stand.key });
    assert.equal(ended.exit, 0, ended.stderr);
    assertBack(stand);
    const taken = execFileSync('sed', ['-n', 's/^#s \\{0,1\\}//p', join(kit, 'recovery-kit.txt')], {
      encoding: 'utf8',
    });
    writeFileSync(join(stand.home, 'any.sh'), taken);
    const work = join(stand.home, 'work');
    const any = await run('sh', [join(stand.home, 'any.sh')], {
      ...{ IDENTITY: join(kit, 'recovery-kit.txt'), ARCHIVE: stand.archive, WORK: work },
    });
    assert.equal(any.exit, 0, any.stderr);
    assert.ok(existsSync(join(work, 'RESTORE.txt')));
  });

  it('hold the secrets of the home, which come back on a machine that has none, and stay where a backup has none', async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    const text = readFileSync(stand.config, 'utf8').replace(
      'restore_targets:\n',
      'restore_targets:\n  control-plane: { health: none }\n',
    );
    writeFileSync(stand.config, text);
    for (const [path, says] of [
      ['control-plane/a', 'a'],
      ['config/b', 'b'],
      ['shared/credentials/token', 'secret'],
      ['gaia/.2fa_secret', 'two'],
    ] as const) {
      mkdirSync(dirname(join(stand.home, path)), { recursive: true });
      writeFileSync(join(stand.home, path), says);
    }
    const plain = await stand.json(0, 'backup', 'control-plane');
    const listed = execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -t', 'sh', String(plain.path)], {
      encoding: 'utf8',
    });
    assert.match(listed, /files\/config\/b/);
    assert.doesNotMatch(listed, /token|2fa_secret|signing_key/);
    const usb = join(stand.home, 'usb');
    mkdirSync(usb);
    const key = join(usb, 'key.txt');
    await stand.json(0, 'key', 'new', key);
    await stand.json(0, 'key', 'new', '--server');
    // What a plain backup does not have is not taken away by it.
    await stand.json(0, 'restore', 'control-plane', '--yes', '--backup', String(plain.name));
    for (const path of ['gaia/.signing_key', 'gaia/.identity', 'gaia/.2fa_secret', 'shared/credentials/token'])
      assert.ok(existsSync(join(stand.home, path)), `${path} is gone`);
    await stand.json(0, 'key', 'new', join(usb, 'again.txt'));
    await stand.json(0, 'backup', 'full');
    const kit = join(stand.home, 'kit');
    await stand.json(0, 'kit', '--identity', join(usb, 'again.txt'), '--out', kit);
    for (const gone of ['gaia', 'config', 'control-plane', 'shared/credentials', 'data-plane'])
      rmSync(join(stand.home, gone), { recursive: true });
    mkdirSync(join(stand.home, 'gaia'));
    mkdirSync(join(stand.home, 'data-plane'));
    const take = (mark: string) =>
      execFileSync('sed', ['-n', `s/^#${mark} \\{0,1\\}//p`, join(kit, 'recovery-kit.txt')], { encoding: 'utf8' });
    writeFileSync(stand.config, take('c'));
    assert.equal(take('c'), text);
    writeFileSync(join(stand.home, 'gaia', 'signing.pub'), take('k'));
    writeFileSync(join(stand.home, 'gaia', 'recipients.txt'), take('r'));
    await stand.json(0, 'restore', 'full', '--yes', '--identity', join(kit, 'recovery-kit.txt'));
    assert.equal(readFileSync(join(stand.home, 'shared/credentials/token'), 'utf8'), 'secret');
    assert.equal(readFileSync(join(stand.home, 'gaia/.2fa_secret'), 'utf8'), 'two');
    assert.equal(readFileSync(join(stand.home, 'config/b'), 'utf8'), 'b');
    // It goes on where the old machine ended.
    await stand.json(0, 'backup', 'full');
  });

  it('bring a machine back that has nothing but the backups and the kit', async (t) => {
    const stand = await makeSealed(t);
    const kit = join(stand.home, 'kit');
    await stand.json(0, 'kit', '--identity', stand.key, '--out', kit);
    for (const gone of [join(stand.home, 'gaia'), stand.root]) rmSync(gone, { recursive: true });
    rmSync(join(stand.backups, '.gaia'), { recursive: true });
    renameSync(stand.usb, join(stand.home, 'burnt'));
    mkdirSync(join(stand.home, 'gaia'));
    const take = (mark: string) =>
      execFileSync('sed', ['-n', `s/^#${mark} \\{0,1\\}//p`, join(kit, 'recovery-kit.txt')], { encoding: 'utf8' });
    writeFileSync(stand.config, take('c'));
    writeFileSync(join(stand.home, 'gaia', 'signing.pub'), take('k'));
    const restored = await stand.json(0, 'restore', 'dev', '--yes', '--identity', join(kit, 'recovery-kit.txt'));
    assert.equal(restored.outcome, 'committed');
    assertBack(stand);
    const page = readFileSync(join(kit, 'recovery-kit.html'), 'utf8');
    assert.match(page, /<svg/);
    assert.doesNotMatch(page, /https?:\/\/(?!www\.w3\.org)/, 'a page for paper that needs the network');
  });
});
