import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startFakeTelegram } from '../fake-telegram.fixtures.ts';
import { gaiaLauncher, isRoot } from './gaia.fixtures.ts';
import { stateOf } from './kill.fixtures.ts';
import { phoneStand } from './phone.fixtures.ts';
import { emergency, kill, notesOf, owner, until, whole } from './phone-real.fixtures.ts';

const kills = 2;

describe('the emergency bot as a process', { timeout: 600_000 }, () => {
  it('restores what the owner confirms, with no secret in any argument, environment or line, and few rights', async (t) => {
    const { telegram, stand, start, heard, runner, printed } = await whole(t);
    const bot = start('bot');
    telegram.say('/restore dev', emergency);
    const asks = await heard(/Restore dev\?/);
    assert.match(asks.text, /send the code of your authenticator/);
    telegram.say(stand.code(), emergency);
    await heard(/restore dev: done\ndev: The backup is in its place/);
    assert.equal(notesOf(stand.root), 'the first state\n');
    const secrets = [telegram.tokenOf('emergency'), readFileSync(stand.emergency.secretFile, 'utf8').trim()];
    const seen = [bot, runner].flatMap(({ pid }) =>
      ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1')),
    );
    for (const text of [...seen, ...printed]) for (const secret of secrets) assert.ok(!text.includes(secret), text);
    // With just the rights that the bot has given itself, something else in its place:
    const words = readFileSync(`/proc/${bot.pid}/cmdline`, 'utf8').split('\0');
    const flags = words.slice(1).filter((word) => word.startsWith('--permission') || word.startsWith('--allow-'));
    assert.ok(flags.includes('--permission') && flags.includes('--allow-net'), words.join(' '));
    const tries = {
      'read the secret': `fs.readFileSync(${JSON.stringify(stand.emergency.secretFile)})`,
      'read the configuration': `fs.readFileSync(${JSON.stringify(stand.config)})`,
      'read a backup': `fs.readdirSync(${JSON.stringify(stand.backups)})`,
      'answer for the runner': `fs.writeFileSync(${JSON.stringify(join(stand.replies, 'x'))}, '')`,
      'write elsewhere': `fs.writeFileSync(${JSON.stringify(join(stand.home, 'x'))}, '')`,
      'start a program': "require('child_process').execFileSync('id')",
      'start a thread': "new (require('worker_threads').Worker)('1', { eval: true })",
    };
    for (const [what, code] of Object.entries(tries)) {
      const { status, stderr } = spawnSync(process.execPath, [...flags, '-e', code], { encoding: 'utf8' });
      assert.notEqual(status, 0, what);
      assert.match(stderr, /ERR_ACCESS_DENIED/, what);
    }
    const may = `fs.writeFileSync(${JSON.stringify(join(stand.requests, '.x'))}, '')`;
    assert.equal(spawnSync(process.execPath, [...flags, '-e', may]).status, 0);
  });

  for (const point of ['bot asked', 'bot heard', 'bot sent'])
    it(`killed at “${point}” again and again loses nothing, and says a thing once more at most for each kill`, async (t) => {
      const { telegram, stand, start, heard } = await whole(t);
      telegram.say('/restore dev', emergency);
      for (let n = 0; n < kills; n++) {
        const bot = start('bot', { GAIA_STOP_AT: point });
        await until(point, () => stateOf(bot.pid as number) === 'T');
        await kill(bot);
        if (n === 0) telegram.say('/status', emergency);
      }
      start('bot');
      await heard(/Restore dev\?/);
      await heard(/Nothing runs/);
      telegram.say(stand.code(), emergency);
      await heard(/restore dev: done\ndev: /);
      assert.equal(notesOf(stand.root), 'the first state\n');
      assert.equal(telegram.said(emergency).filter(({ text }) => /restore dev: done\ndev: /.test(text)).length, 1);
      const asks = telegram.said(emergency).filter(({ text }) => /Restore dev\?/.test(text));
      assert.ok(asks.length <= 1 + kills, String(asks.length));
    });

  it('dead in the middle of a restore, the restore goes on, and is told when the bot is back', async (t) => {
    const { telegram, stand, start, heard } = await whole(t);
    const bot = start('bot');
    telegram.say('/restore dev', emergency);
    await heard(/Restore dev\?/);
    telegram.say(stand.code(), emergency);
    await heard(/Confirmed|runs|done/);
    await kill(bot);
    await until('restored', () => notesOf(stand.root) === 'the first state\n');
    start('bot');
    await heard(/restore dev: done\ndev: /);
  });

  it('is another user than the runner, who can read no secret, and restores all the same', {
    skip: !isRoot && 'takes root',
  }, async (t) => {
    const nobody = 65_534;
    const telegram = await startFakeTelegram(t, { limits: { chatBurst: 100 } });
    const stand = await phoneStand(t);
    const { spool, secretFile, codesFile } = stand.emergency;
    chmodSync(stand.home, 0o711);
    mkdirSync(spool, { mode: 0o755 });
    for (const name of ['requests', 'bot', 'handed']) {
      mkdirSync(join(spool, name), { mode: 0o700 });
      chownSync(join(spool, name), nobody, nobody);
    }
    // What systemd hands over.
    const handed = { 'token-file': telegram.tokenOf('emergency'), 'users-file': String(owner) };
    const flags = Object.entries(handed).flatMap(([flag, text]) => {
      const file = join(spool, 'handed', flag);
      writeFileSync(file, text, { mode: 0o600 });
      chownSync(file, nobody, nobody);
      return [`--${flag}`, file];
    });
    writeFileSync(stand.emergency.usersFile, `${owner}\n`, { mode: 0o600 });
    const env = { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, TELEGRAM_API_ROOT: telegram.url };
    const start = (words: string[], as: { uid?: number; gid?: number }) => {
      const child = spawn(process.execPath, [gaiaLauncher, ...words], { env, stdio: 'ignore', ...as });
      t.after(() => void child.kill('SIGKILL'));
    };
    start(['runner', '--config', stand.config], {});
    const replies = join(spool, 'replies');
    await until('the folder of the runner', () => existsSync(replies));
    chownSync(replies, 0, nobody);
    start(['bot', '--spool', spool, ...flags], { uid: nobody, gid: nobody });
    const heard = (text: RegExp) =>
      telegram.eventually(() => telegram.said(emergency).find((message) => text.test(message.text)), `hears ${text}`);
    telegram.say('/restore dev', emergency);
    await heard(/Restore dev\?/);
    telegram.say(stand.code(), emergency);
    await heard(/restore dev: done\ndev: /);
    assert.equal(notesOf(stand.root), 'the first state\n');
    const tries = [
      ...[secretFile, codesFile, stand.emergency.usersFile].map((file) => ['cat', file]),
      ['ls', join(stand.backups, '.gaia')],
      ['touch', join(replies, 'x')],
      ['touch', join(spool, 'x')],
      ['mv', join(spool, 'requests'), join(spool, 'other')],
    ] as [string, string, string?][];
    for (const [program, ...words] of tries) {
      const { status, stderr } = spawnSync(program, words as string[], { uid: nobody, gid: nobody, encoding: 'utf8' });
      assert.notEqual(status, 0, `${program} ${words}`);
      assert.match(stderr, /Permission denied/, `${program} ${words}`);
    }
  });

  it('says what is missing before it begins', async (t) => {
    const stand = await phoneStand(t);
    const bot = () => stand.gaia('bot');
    assert.match((await bot()).stderr, /There is no spool at .* yet[\s\S]*systemctl start gaia-runner/);
    spawnSync('mkdir', ['-p', ...['requests', 'bot', 'replies'].map((name) => join(stand.emergency.spool, name))]);
    assert.match((await bot()).stderr, /There is no token in|holds no token/);
    writeFileSync(stand.emergency.tokenFile, '7000002:FAKE_emergency_bot_of_leveredge_000', { mode: 0o644 });
    const inside = await stand.gaia('bot', '--token-file', join(stand.replies, 'token'));
    assert.deepEqual([inside.exit, /lies in a folder where bot and runner meet/.test(inside.stderr)], [2, true]);
    const open = await bot();
    assert.deepEqual([open.exit, /can be read by other users/.test(open.stderr)], [3, true]);
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}emergency_telegram: { authorized_users: [1] }\n`);
    assert.match((await bot()).stderr, /authorized_users of the configuration are others/);
  });
});
