import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { newBackupCodes } from '../../src/gaia/two-factor/backup-codes.ts';
import { newSecret, writeEnrolment } from '../../src/gaia/two-factor/enrolment.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { readConfig } from '../../src/recovery/config/read-config.ts';
import { holderOf } from '../../src/recovery/run/lock.ts';
import type { Stand } from './gaia.fixtures.ts';
import { stateOf } from './kill.fixtures.ts';
import { answering, openPhone, phoneStand } from './phone.fixtures.ts';
import { emergency, kill, notesOf, owner, until, whole } from './phone-real.fixtures.ts';

const minute = 60_000;

/** Backups are encrypted from now on, to a key that lies elsewhere; with `server` to one of this machine too. */
async function encrypt(stand: Stand, { server }: { server: boolean }): Promise<void> {
  mkdirSync(join(stand.home, 'usb'));
  if (server) await stand.json(0, 'key', 'new', '--server');
  await stand.json(0, 'key', 'new', join(stand.home, 'usb', 'key.txt'));
}

/** `control-plane`, with what the emergency side has in gaia/: a second factor that will be replaced, and the list. */
function addControlPlane(stand: Stand): Buffer {
  const text = readFileSync(stand.config, 'utf8');
  const more = 'restore_targets:\n  control-plane: { health: none }\n';
  writeFileSync(stand.config, text.replace('restore_targets:\n', more));
  mkdirSync(join(stand.home, 'control-plane'));
  writeFileSync(join(stand.home, 'control-plane', 'notes'), 'the first state\n');
  const { emergency: files } = readConfig(stand.config, stand.home);
  const older = newSecret();
  writeEnrolment(files, older, newBackupCodes(), () => undefined);
  writeFileSync(files.usersFile, `${owner}\n`, { mode: 0o600 });
  // Of a bot that was made anew since.
  writeFileSync(files.tokenFile, `7000009:${'x'.repeat(30)}\n`, { mode: 0o600 });
  return older;
}

describe('what is secret, by phone', { timeout: 600_000 }, () => {
  it('an encrypted backup comes back where the machine has a key of its own', async (t) => {
    const { telegram, stand, start, heard } = await whole(t, (made) => encrypt(made, { server: true }));
    start('bot');
    telegram.say('/restore dev', emergency);
    const asks = await heard(/Restore dev\?/);
    assert.match(asks.text, /dev from dev-\S+\.tar\.zst\.age/);
    telegram.say(stand.code(), emergency);
    await heard(/restore dev: done\ndev: The backup is in its place/);
    assert.equal(notesOf(stand.root), 'the first state\n');
  });

  it('one that nothing here opens is said to be so before a code is asked for, and nothing begins', async (t) => {
    const { telegram, stand, start, heard } = await whole(t, (made) => encrypt(made, { server: false }));
    start('bot');
    telegram.say('/restore dev', emergency);
    const says = await heard(/restore dev: cannot be done/);
    assert.match(
      says.text,
      /is encrypted, and there is no key here that could open it\.\nBy phone it cannot be opened\./,
    );
    assert.match(says.text, /gaia restore dev --identity FILE\. For backups made from now on: gaia key new --server/);
    telegram.say('/drill dev', emergency);
    await heard(/drill dev: FAILED\n.*no key here[\s\S]*gaia key new --server/);
    // A code that somebody sends all the same is for nothing.
    telegram.say(stand.code(), emergency);
    await heard(/Nothing waits for a code of yours/);
    const { runs } = await stand.json(0, 'status');
    assert.deepEqual(runs, []);
    assert.equal(notesOf(stand.root), 'the second state\n');
    assert.ok(!telegram.said(emergency).some(({ text }) => /send the code/.test(text)));
  });

  it('control-plane swaps the configuration under bot and runner, which go on, and brings no older code back to life', async (t) => {
    let older: Uint8Array = new Uint8Array();
    const made = await whole(t, async (stand) => {
      older = addControlPlane(stand);
      await encrypt(stand, { server: true });
    });
    const { telegram, stand, start, heard, runner, printed } = made;
    writeFileSync(join(stand.home, 'control-plane', 'notes'), 'the second state\n');
    const bot = start('bot');
    telegram.say('/restore control-plane', emergency);
    await heard(/Restore control-plane\?/);
    const code = stand.code();
    telegram.say(code, emergency);
    await heard(/It begins in 1 min/);
    const ended = () => telegram.said(emergency).find(({ text }) => /control-plane: done\ncontrol-plane:/.test(text));
    for (let n = 0; n < 5 && ended() === undefined; n++)
      await telegram.eventually(ended).catch(() => undefined /* not yet */);
    assert.match(ended()?.text ?? '', /The backup is in its place\.\n/);
    assert.match(
      ended()?.text ?? '',
      /NEXT TIME NOT BY PHONE: An older second factor came back with a restore\.\ngaia 2fa/,
    );
    assert.equal(notesOf(join(stand.home, 'control-plane')), 'the first state\n');
    // Of the older secret, which lies in gaia/ again, no code counts; nor does one of the newer.
    telegram.say('/restore dev', emergency);
    await heard(/No restore by phone: An older second factor came back/);
    for (const text of [codeAt(older, stepAt(Date.now())), stand.code(1), code]) telegram.say(text, emergency);
    await telegram.eventually(
      () => telegram.said(emergency).filter(({ text }) => /Nothing waits for a code of yours/.test(text)).length === 3,
    );
    await kill(runner);
    start('runner');
    telegram.say('/status', emergency);
    await heard(/Status\n[\s\S]*:\d\d restore control-plane: done/);
    // The token that came back is an older one, too: a bot that is started anew says so and ends.
    const { spool } = stand.emergency;
    assert.equal(bot.exitCode, null);
    await kill(bot);
    const again = start('bot');
    await new Promise((resolve) => again.on('close', resolve));
    assert.match(printed.join(''), /Telegram does not know the token of this bot/);
    assert.ok(readdirSync(spool).includes('replies'));
    assert.equal(notesOf(stand.root), 'the second state\n');
  });

  for (const server of [true, false])
    it(`control-plane is finished by a runner after a kill that left no configuration, ${server ? 'encrypted' : 'plain'}`, async (t) => {
      const stand = await phoneStand(t, async (made) => {
        addControlPlane(made);
        if (server) await encrypt(made, { server });
      });
      const { phone, ask, confirm } = answering(t, stand);
      stand.stopAt = 'between the renames';
      await ask({ verb: 'restore', target: 'control-plane' });
      await confirm();
      stand.shiftMs += minute;
      await phone.tick();
      const holder = () => holderOf({ state: join(stand.backups, '.gaia') });
      await until('no configuration is there', () => {
        const pid = holder()?.pid ?? 0;
        if (stateOf(pid) !== 'T') return false;
        if (existsSync(stand.config)) process.kill(pid, 'SIGCONT');
        return !existsSync(stand.config);
      });
      phone.stop();
      phone.close();
      process.kill(holder()?.pid as number, 'SIGKILL');
      assert.match((await stand.gaia('status')).stdout, /restore of control-plane .* was interrupted at the step swap/);
      stand.stopAt = '';
      const next = openPhone(t, stand);
      await next.tick();
      await next.working();
      assert.match(stand.text(), /restore control-plane: done\ncontrol-plane: The backup is in its place/);
      assert.equal(notesOf(join(stand.home, 'control-plane')), 'the first state\n');
      assert.ok(existsSync(stand.config));
      // Taken away on purpose it is missing, whatever restores have put aside.
      renameSync(stand.config, join(stand.home, 'config.yaml'));
      assert.equal((await stand.gaia('status')).exit, 5);
    });

  it('control-plane from a backup without secrets keeps those there are, and a used code stays used', async (t) => {
    const stand = await phoneStand(t, (made) => void addControlPlane(made));
    writeFileSync(join(stand.home, 'control-plane', 'notes'), 'the second state\n');
    const { phone, ask, confirm } = answering(t, stand);
    await ask({ verb: 'restore', target: 'full' });
    const code = stand.code();
    await confirm(code);
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.match(
      stand.text(),
      /restore full: done\ncontrol-plane: .*\nprod: .*\ndev: .*\nWhat was there before is kept/,
    );
    for (const root of [stand.root, stand.prod, join(stand.home, 'control-plane')])
      assert.equal(notesOf(root), 'the first state\n');
    assert.doesNotMatch(stand.text(), /NEXT TIME/);
    rmSync(join(stand.place.state, 'clock.json'), { force: true });
    stand.shiftMs -= minute;
    writeFileSync(join(stand.root, 'notes'), 'the third state\n');
    await ask({ verb: 'restore', target: 'dev' });
    await confirm(code);
    assert.match(stand.text(), /That code was used already/);
    await confirm(stand.code(1));
    await phone.tick();
    await phone.working();
    assert.equal(notesOf(stand.root), 'the first state\n');
  });
});
