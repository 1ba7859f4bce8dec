import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { type PersonName, people } from '../../src/channels/telegram/fake/world.ts';
import { telegramPlaces } from '../../src/channels/telegram/places.ts';
import { start } from '../cli-run.fixtures.ts';
import { fakeBots, startFakeTelegram } from '../fake-telegram.fixtures.ts';
import { enrol } from '../two-factor.fixtures.ts';
import {
  asideOf,
  asked,
  assertBroken,
  assertWhole,
  breakTarget,
  hasCome,
  makeStory,
  makeStoryInTime,
  type Story,
  saidTwice,
  through,
  trail,
  wholeTrail,
} from './story.fixtures.ts';

const hourMs = 3_600_000;
const me = userInfo().username;
/** Telegram's own limits are met elsewhere. */
const wide = { chatBurst: 1000, chatPerSecond: 1000, overallPerSecond: 1000, groupPerMinute: 1000 };

type WithPhone = Awaited<ReturnType<typeof withPhone>>;

/** The control bot of the story's home, set up and run as its owner would, and a phone for each who is listed. */
async function withPhone(t: TestContext, story: Story, users: readonly PersonName[] = ['owner']) {
  const { home } = story.stand;
  const fake = await startFakeTelegram(t, { limits: wide });
  const env = { LEVEREDGE_HOME: home, LEVEREDGE_URL: story.url, TELEGRAM_API_ROOT: fake.url };
  const run = (words: string[], more: Record<string, string> = {}) =>
    start(['telegram', ...words], { ...env, ...more });
  for (const as of users) fake.say('/start', { as });
  const token = { TELEGRAM_CONTROL_BOT_TOKEN: fakeBots.control };
  const { exit, stderr } = await run(['setup', '--user', String(people.owner.id)], token).ended;
  assert.equal(exit, 0, stderr);
  const { settings } = telegramPlaces(home);
  const written = JSON.parse(readFileSync(settings, 'utf8')) as object;
  const listed = users.map((as) => ({ id: people[as].id, name: people[as].first_name }));
  writeFileSync(settings, JSON.stringify({ ...written, users: listed }));
  const begin = async () => {
    const bot = run(['bot'], token);
    t.after(() => bot.child.kill('SIGKILL'));
    await bot.says('stdout', /listens on Telegram/);
    return bot;
  };
  let bot = await begin();
  const hears = (text: RegExp, as: PersonName = 'owner') =>
    fake.eventually(() => fake.said({ as }).find((each) => text.test(each.text)), `${as} hears ${text}`);
  for (const as of users) await hears(/^LeverEdge/, as);
  return {
    fake,
    hears,
    /** The question whether to roll a target back, and its buttons. */
    questionOf: (target: string, as: PersonName = 'owner') => hears(new RegExp(`^❓.*\nRoll ${target} back to`), as),
    async taps(message: number, button: string | { data: string }, as: PersonName = 'owner') {
      const tap = fake.tap(message, button, { as });
      await fake.eventually(() => tap.answer);
      return tap.answer?.text ?? '';
    },
    /** What stands below a question once it is decided, when no button is left. */
    outcome: async (message: number, as: PersonName = 'owner') => {
      const shown = await fake.eventually(() =>
        fake.said({ as }).find((each) => each.message_id === message && each.buttons.length === 0),
      );
      return shown.text.split('\n').at(-1) ?? '';
    },
    async killed() {
      bot.child.kill('SIGKILL');
      await bot.ended;
      bot = await begin();
    },
  };
}

/** A deployment is announced, backed up before, breaks what was there and fails; each is told on the phone. */
async function brokenDeploy(story: Story, phone: WithPhone, target: string): Promise<void> {
  const by = { source_agent: 'HEPHAESTUS', target };
  await story.client.publish({ ...by, action: 'deploy_started', id: 'deploy-1' });
  const backup = await hasCome(story, 'backup_completed', 'deploy-1');
  await phone.hears(new RegExp(`^✅ backup_completed · ${target}\n[\\s\\S]*${backup.details?.backup}`));
  breakTarget(story.stand);
  const failed = {
    action: 'deploy_failed',
    id: 'deploy-1-failed',
    causation_id: 'deploy-1',
    correlation_id: 'deploy-1',
  };
  await story.client.publish({ ...by, ...failed, details: { says: 'The new version does not start.' } });
  await phone.hears(new RegExp(`^⚠️ deploy_failed · ${target}\nThe new version does not start\\.`));
}

/** As everywhere: rolled back once, told once and in order, and decided by whom and where. */
async function assertRolledBack(story: Story, question: string, by: string, via: string): Promise<void> {
  assert.deepEqual(await trail(story), wholeTrail);
  assert.deepEqual(await saidTwice(story), []);
  assertWhole(story.stand);
  assert.equal(asideOf(story.stand).length, 1);
  const { human_state, human_response, human_responded_by, human_responded_via } = await story.client.event(question);
  assert.deepEqual(
    [human_state, human_response, human_responded_by, human_responded_via],
    ['answered', 'yes', by, via],
  );
  const again = await story.leveredge('answer', question, 'no');
  assert.equal(again.exit, 6);
  assert.match(again.stderr, new RegExp(`decided already: ${by} answered "yes" via ${via}`));
  const { stdout } = await story.leveredge('atlas', 'trace', question, '--json');
  const told = JSON.parse(stdout) as { is_whole: boolean; trace: { source_agent: string; action: string }[] };
  assert.equal(told.is_whole, true);
  assert.deepEqual(
    told.trace.map(({ source_agent, action }) => `${source_agent} ${action}`),
    wholeTrail,
  );
}

const agents = ['chronos', 'hades', 'atlas'] as const;

describe('a deployment that breaks its target, on the phone of its owner', { timeout: 300_000, concurrency: 2 }, () => {
  it('is rolled back by one tap, where it is dev, and told to its end', async (t) => {
    const story = await makeStory(t, { agents: [...agents] });
    const phone = await withPhone(t, story);
    await brokenDeploy(story, phone, 'dev');
    const { call, question } = await asked(story, 'deploy-1-failed');
    const { message_id, text, buttons } = await phone.questionOf('dev');
    assert.deepEqual(
      buttons.flat().map((each) => each.text),
      ['yes', 'no'],
    );
    assert.match(text, /It replaces .*\n[\s\S]*then: no\.[\s\S]*an approval/);
    assertBroken(story.stand);
    assert.equal(await phone.taps(message_id, 'yes'), 'Stored: yes');
    assert.equal((await through(story, call)).status, 'done');
    assert.match(await phone.outcome(message_id), new RegExp(`^✅ yes — ${me} \\(telegram\\), \\d{4}-`));
    await phone.hears(/^✅ restore_completed · dev/);
    await assertRolledBack(story, question, me, 'telegram');
    assert.deepEqual(phone.fake.refused(), []);
  });

  it('is rolled back by a tap and a code, where it is prod, also when the bot is killed in between', async (t) => {
    const story = await makeStory(t, { agents: [...agents] });
    const { config, home } = story.stand;
    writeFileSync(config, readFileSync(config, 'utf8').replace('    dev:\n', '    prod:\n'));
    const factor = enrol(home);
    const phone = await withPhone(t, story);
    await brokenDeploy(story, phone, 'prod');
    const { call, question } = await asked(story, 'deploy-1-failed');
    const { message_id } = await phone.questionOf('prod');
    assert.equal(await phone.taps(message_id, 'yes'), 'Now your code.');
    const asks = await phone.hears(/^🔐 Roll prod back to/);
    await phone.killed();
    assert.equal((await story.client.callState(call)).status, 'pending_approval');
    const code = factor.code();
    const sent = phone.fake.say(code, { answers: asks.message_id });
    await phone.hears(/^Stored: yes$/);
    await phone.fake.eventually(() => !phone.fake.chat().messages.some((each) => each.message_id === sent));
    assert.equal((await through(story, call)).status, 'done');
    assert.match(await phone.outcome(message_id), new RegExp(`^✅ yes — ${me} \\(telegram\\)`));
    await phone.hears(new RegExp(`^🔐 Roll prod back[\\s\\S]*✅ yes — ${me} \\(telegram\\)`));
    await phone.hears(/^✅ restore_completed · prod/);
    await assertRolledBack(story, question, me, 'telegram');
    const answered = await hasCome(story, 'human_responded', question);
    assert.equal(answered.details?.confirmed_by, 'code');
    assert.equal(factor.tryElsewhere(code).kind, 'used');
  });

  it('is left as it is when nobody answers, and the phone says so', async (t) => {
    const story = await makeStoryInTime(t);
    const phone = await withPhone(t, story);
    await brokenDeploy(story, phone, 'dev');
    const { call } = await asked(story, 'deploy-1-failed');
    const { message_id, buttons } = await phone.questionOf('dev');
    await story.advance(hourMs + 1000);
    assert.equal((await through(story, call)).status, 'refused');
    assert.match(await phone.outcome(message_id), /^⌛ Nobody answered until .* UTC; taken as: no\./);
    const { data } = buttons.flat()[0] ?? assert.fail('it has no button');
    assert.match(
      await phone.taps(message_id, { data: data as string }),
      /^Too late: the time was over at .*, taken as: no\./,
    );
    assertBroken(story.stand);
    assert.deepEqual(await trail(story), [...wholeTrail.slice(0, 5), 'EVENT-BUS human_timed_out']);
  });

  it('shows at once what is decided elsewhere, and takes no tap after it', async (t) => {
    const story = await makeStory(t, { agents: [...agents] });
    const phone = await withPhone(t, story);
    await brokenDeploy(story, phone, 'dev');
    const { call, question } = await asked(story, 'deploy-1-failed');
    const { message_id, buttons } = await phone.questionOf('dev');
    const { exit, stderr } = await story.leveredge('answer', question, 'yes');
    assert.equal(exit, 0, stderr);
    assert.match(await phone.outcome(message_id), new RegExp(`^✅ yes — ${me} \\(cli\\)`));
    const { data } = buttons.flat()[1] ?? assert.fail('it has no second button');
    assert.match(await phone.taps(message_id, { data: data as string }), /^Decided already: yes \(.*, cli, /);
    assert.equal((await through(story, call)).status, 'done');
    await phone.hears(/^✅ restore_completed · dev/);
    await assertRolledBack(story, question, me, 'cli');
  });

  it('is decided by the first of two people who are listed, and both are told who that was', async (t) => {
    const story = await makeStory(t, { agents: [...agents] });
    const phone = await withPhone(t, story, ['owner', 'friend']);
    await brokenDeploy(story, phone, 'dev');
    const { call, question } = await asked(story, 'deploy-1-failed');
    const shown = {
      owner: (await phone.questionOf('dev')).message_id,
      friend: (await phone.questionOf('dev', 'friend')).message_id,
    };
    const [mine, theirs] = await Promise.all([
      phone.taps(shown.owner, 'yes'),
      phone.taps(shown.friend, 'no', 'friend'),
    ]);
    const first = mine.startsWith('Stored: yes') ? 'Olga' : 'Bert';
    const said = first === 'Olga' ? 'yes' : 'no';
    assert.match(first === 'Olga' ? theirs : mine, new RegExp(`^Decided already: ${said} \\(${me}, telegram, `));
    for (const as of ['owner', 'friend'] as const)
      assert.match(
        await phone.outcome(shown[as], as),
        new RegExp(`^✅ ${said} — ${me} \\(telegram\\), .* UTC\\. ${first} on Telegram$`),
      );
    const answered = await hasCome(story, 'human_responded', question);
    assert.equal(answered.details?.reason, `${first} on Telegram`);
    assert.equal((await through(story, call)).status, first === 'Olga' ? 'done' : 'refused');
    if (first === 'Olga') await assertRolledBack(story, question, me, 'telegram');
    else assertBroken(story.stand);
  });
});
