import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeStand, rowsOf, run, type Stand } from './gaia.fixtures.ts';

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
      /note +encryption +to 1 keys elsewhere, none of which was ever seen/,
    );
    const other = join(stand.usb, 'other.txt');
    writeFileSync(other, execFileSync('age-keygen', { stdio: ['ignore', 'pipe', 'ignore'] }), { mode: 0o600 });
    const wrong = await stand.gaia('key', 'check', '--identity', other);
    assert.equal(wrong.exit, 3, wrong.stderr);
    assert.match(wrong.stderr, /none of the keys that were tried belongs to it/);
    assert.match((await stand.gaia('backup', 'dev')).stderr, never);
    // A stick that knows no modes.
    chmodSync(stand.key, 0o755);
    assert.equal((await stand.gaia('key', 'check', '--identity', stand.key)).exit, 0);
    assert.doesNotMatch((await stand.gaia('backup', 'dev')).stderr, never);
    assert.match((await stand.gaia('doctor')).stdout, /ok +encryption +to 1 keys elsewhere, 1 of them proven/);
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
    const taken = execFileSync('sed', ['-n', 's/^#s //p', join(kit, 'recovery-kit.txt')], { encoding: 'utf8' });
    writeFileSync(join(stand.home, 'any.sh'), taken);
    const work = join(stand.home, 'work');
    const any = await run('sh', [join(stand.home, 'any.sh')], {
      ...{ IDENTITY: join(kit, 'recovery-kit.txt'), ARCHIVE: stand.archive, WORK: work },
    });
    assert.equal(any.exit, 0, any.stderr);
    assert.ok(existsSync(join(work, 'RESTORE.txt')));
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
      execFileSync('sed', ['-n', `s/^#${mark} //p`, join(kit, 'recovery-kit.txt')], { encoding: 'utf8' });
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
