import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { listTokens, revokeTokens } from '../../src/bus/store/sqlite/token-file.ts';
import { people } from '../../src/channels/telegram/fake/world.ts';
import { telegramPlaces } from '../../src/channels/telegram/places.ts';
import { personScopes } from '../../src/channels/telegram/scopes.ts';
import { startBusProcess, temporaryHome } from '../bus-server.fixtures.ts';
import { tokenFor } from '../bus-token.fixtures.ts';
import { start } from '../cli-run.fixtures.ts';
import { fakeBots, startFakeTelegram } from '../fake-telegram.fixtures.ts';

const olga = String(people.owner.id);

async function standing(t: TestContext) {
  const home = temporaryHome(t);
  const bus = await startBusProcess({ home }, t);
  const fake = await startFakeTelegram(t);
  const env = { LEVEREDGE_HOME: home, TELEGRAM_API_ROOT: fake.url, LEVEREDGE_URL: bus.url };
  const run = (words: string[], more: Record<string, string> = {}) => {
    const process = start(['telegram', ...words], { ...env, ...more });
    t.after(() => process.child.kill('SIGKILL'));
    return process;
  };
  return { home, bus, fake, run, places: telegramPlaces(home) };
}

describe('leveredge telegram', { timeout: 120_000 }, () => {
  it('is set up in three steps, and then runs', async (t) => {
    const { fake, run, places } = await standing(t);
    const setup = run(['setup']);
    fake.say('/start', { as: 'stranger' });
    setup.child.stdin.write(`${fakeBots.control}\n`);
    await setup.says('stderr', /Sam \(@sam_stranger\) sent \/start\. Their number is 5550002\./);
    setup.child.stdin.write('\n');
    fake.say('/start');
    await setup.says('stderr', /Olga \(@olga_owner\) sent \/start\. Their number is 5550001\./);
    setup.child.stdin.write(`${olga}\n`);
    const { exit, stdout, stderr } = await setup.ended;
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /@control_bot listens to 5550001 alone\./);
    assert.ok(!(stdout + stderr).includes(fakeBots.control));
    for (const file of [places.botToken, places.personToken, places.serviceToken, places.settings])
      assert.equal(statSync(file).mode & 0o077, 0, file);
    assert.deepEqual(JSON.parse(readFileSync(places.settings, 'utf8')).users, [
      { id: people.owner.id, name: 'olga_owner' },
    ]);
    const bot = run(['bot']);
    await bot.says('stdout', /@control_bot listens on Telegram/);
    const second = await run(['bot']).ended;
    assert.equal(second.exit, 6);
    assert.match(second.stderr, /runs already, in another process/);
    fake.say('/help');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('LeverEdge')));
    assert.deepEqual(fake.said({ as: 'stranger' }), []);
    bot.child.kill('SIGINT');
    assert.equal((await bot.ended).exit, 0);
  });

  it('says what is missing, and takes no token that others can read or Telegram does not know', async (t) => {
    const { run, fake, places } = await standing(t);
    const missing = await run(['bot']).ended;
    assert.equal(missing.exit, 5);
    assert.match(missing.stderr, /not set up yet[\s\S]*telegram setup/);
    const no = run(['setup']);
    no.child.stdin.end('my bot\n');
    assert.equal((await no.ended).exit, 2);
    mkdirSync(dirname(places.botToken), { recursive: true });
    writeFileSync(places.botToken, fakeBots.control);
    chmodSync(places.botToken, 0o644);
    const open = await run(['setup', '--user', olga]).ended;
    assert.equal(open.exit, 3);
    assert.match(open.stderr, /can be read by other users/);
    chmodSync(places.botToken, 0o600);
    assert.equal((await run(['setup', '--user', olga]).ended).exit, 0);
    fake.revoke(true);
    const revoked = await run(['bot']).ended;
    assert.equal(revoked.exit, 3);
    assert.match(revoked.stderr, /Telegram does not take the token/);
    assert.ok(!revoked.stderr.includes(fakeBots.control.slice(8)));
    const nowhere = await run(['setup', '--user', olga], { TELEGRAM_API_ROOT: 'http://127.0.0.1:9' }).ended;
    assert.equal(nowhere.exit, 4);
    assert.match(nowhere.stderr, /Telegram cannot be asked/);
  });

  it('says of a token of before, which approves without a code, how a new one is made', async (t) => {
    const { bus, run, places } = await standing(t);
    const env = { TELEGRAM_CONTROL_BOT_TOKEN: fakeBots.control };
    const scopes = ['read', 'answer', 'approve', 'call:*'];
    const { secret, id } = await tokenFor(bus, { name: userInfo().username, kind: 'person', scopes });
    mkdirSync(dirname(places.personToken), { recursive: true });
    writeFileSync(places.personToken, `${secret}\n`, { mode: 0o600 });
    const { exit, stderr } = await run(['setup', '--user', olga], env).ended;
    assert.equal(exit, 0, stderr);
    assert.match(stderr, new RegExp(`needs no code of your authenticator[\\s\\S]*leveredge token revoke ${id}\n`));
    rmSync(places.personToken);
    await revokeTokens(bus.databaseFile, id, systemClock);
    for (let n = 0; n < 2; n++) {
      const again = await run(['setup', '--user', olga], env).ended;
      assert.ok(again.exit === 0 && !again.stderr.includes('no code'), again.stderr);
    }
    const made = (await listTokens(bus.databaseFile, systemClock)).find(
      ({ kind, revokedAt }) => kind === 'person' && revokedAt === null,
    );
    assert.deepEqual(made?.scopes, [...personScopes]);
  });

  it('says where the bot runs meanwhile that it is to be stopped', async (t) => {
    const { fake, run } = await standing(t);
    fake.trouble('409', { method: 'getUpdates' });
    const { exit, stderr } = await run(['setup'], { TELEGRAM_CONTROL_BOT_TOKEN: fakeBots.control }).ended;
    assert.notEqual(exit, 0);
    assert.match(stderr, /Another program reads the messages of this bot[\s\S]*stop it, run setup/);
  });

  it('confirms nobody whose number is not typed', async (t) => {
    const { fake, run } = await standing(t);
    const setup = run(['setup'], { TELEGRAM_CONTROL_BOT_TOKEN: fakeBots.control });
    fake.say('/start');
    await setup.says('stderr', /sent \/start/);
    setup.child.stdin.end('yes\n');
    fake.say('/start', { as: 'stranger' });
    const { exit, stderr } = await setup.ended;
    assert.equal(exit, 2);
    assert.match(stderr, /Not taken\.[\s\S]*Nobody confirmed the number/);
  });
});
