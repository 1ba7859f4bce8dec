import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asked, startControlBot } from '../control-bot.fixtures.ts';
import { fakeBots } from '../fake-telegram.fixtures.ts';

describe('the control bot and the questions', { timeout: 120_000 }, () => {
  it('shows a question with a button for each option, and the outcome in their place', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const { id, message } = await asked(stand, 'Roll <dev> & prod back?');
    const shown = () => fake.said().find(({ message_id }) => message_id === message);
    assert.deepEqual(
      shown()
        ?.buttons.flat()
        .map(({ text }) => text),
      ['yes', 'no'],
    );
    const tap = fake.tap(message, 'yes');
    await fake.eventually(() => tap.answer);
    assert.equal(tap.answer?.text, 'Stored: yes');
    await fake.eventually(() => shown()?.buttons.length === 0);
    assert.match(shown()?.text ?? '', /Roll <dev> & prod back\?[\s\S]*✅ yes — olga \(telegram\), \d{4}-/);
    const { human_response, human_responded_by, human_responded_via, human_notified } = await client.event(id);
    assert.deepEqual(
      [human_response, human_responded_by, human_responded_via, human_notified],
      ['yes', 'olga', 'telegram', true],
    );
    assert.deepEqual(fake.refused(), []);
  });

  it('takes the buttons away when it is decided elsewhere, and says by whom and where', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const { id, message } = await asked(stand, 'Shall we?');
    await client.respond(id, { response: 'no', responder: 'BERTA', via: 'cli' });
    const shown = await fake.eventually(() =>
      fake.said().find(({ message_id, buttons }) => message_id === message && buttons.length === 0),
    );
    assert.match(shown.text, /✅ no — BERTA \(cli\)/);
    const tap = fake.tap(message, { data: `a:${id}:0` });
    await fake.eventually(() => tap.answer);
    assert.match(tap.answer?.text ?? '', /^Decided already: no \(BERTA, cli, /);
    assert.equal((await client.event(id)).human_response, 'no');
  });

  it('says how it ended when nobody answers, and when it is taken back', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const late = await asked(stand, 'In time?', { human_timeout_minutes: 0.02, human_fallback: 'no' });
    const back = await asked(stand, 'Still?');
    await client.cancel(back.id, { cancelled_by: 'HADES' });
    const textOf = (message: number) => fake.said().find(({ message_id }) => message_id === message)?.text ?? '';
    await fake.eventually(() => /⌛ Nobody answered until .*; taken as: no\./.test(textOf(late.message)));
    await fake.eventually(() => /🚫 Taken back by HADES/.test(textOf(back.message)));
  });

  it('approves with the hash of what was shown, as a person', async (t) => {
    const stand = await startControlBot(t);
    const { fake, did } = stand;
    fake.say('/spill pot');
    const question = await fake.eventually(() => fake.said().find(({ text }) => text.includes('Spill 7 of pot?')));
    assert.match(question.text, /an approval/);
    assert.equal(did.length, 0);
    fake.tap(question.message_id, 'yes');
    await fake.eventually(() => fake.said().find(({ text }) => /^tea\.spill\ncups: 7/.test(text)));
    assert.deepEqual(
      did.map(({ what }) => what),
      ['spill'],
    );
  });

  it('tells that nothing was done after a no', async (t) => {
    const { fake, did } = await startControlBot(t);
    fake.say('/spill pot');
    const question = await fake.eventually(() => fake.said().find(({ text }) => text.includes('Spill 7 of pot?')));
    fake.tap(question.message_id, 'no');
    await fake.eventually(() =>
      fake.said().find(({ text }) => text.includes('tea.spill: nothing was done, olga said no.')),
    );
    assert.equal(did.length, 0);
  });

  it('does once what two taps ask for, and acknowledges both', async (t) => {
    const stand = await startControlBot(t);
    const { fake } = stand;
    const { message } = await asked(stand, 'Shall we?');
    const [first, second] = [fake.tap(message, 'yes'), fake.tap(message, 'yes')];
    await fake.eventually(() => first.answer && second.answer);
    assert.equal(first.answer?.text, 'Stored: yes');
    assert.match(second.answer?.text ?? '', /^Decided already: yes/);
    assert.deepEqual(fake.refused(), []);
  });

  it('never takes a button of one question for an answer to another', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const old = await asked(stand, 'The old one?');
    await client.cancel(old.id, { cancelled_by: 'HADES' });
    const young = await asked(stand, 'The new one?');
    const tap = fake.tap(old.message, { data: `a:${old.id}:0` });
    await fake.eventually(() => tap.answer);
    assert.match(tap.answer?.text ?? '', /^Taken back/);
    const strange = fake.tap(young.message, { data: 'a:no-such-question:0' });
    await fake.eventually(() => strange.answer);
    assert.match(strange.answer?.text ?? '', /does not know this question/);
    const other = fake.tap(young.message, { data: `a:${young.id}:7` });
    await fake.eventually(() => other.answer);
    assert.match(other.answer?.text ?? '', /no such answer/);
    assert.equal((await client.event(young.id)).human_state, 'open');
  });

  it('shows nothing as stored that the bus did not store', async (t) => {
    const stand = await startControlBot(t);
    const { fake, bus } = stand;
    const { message } = await asked(stand, 'Shall we?');
    await bus.kill();
    const tap = fake.tap(message, 'yes');
    await fake.eventually(() => tap.answer);
    assert.deepEqual(tap.answer, { text: 'Not stored: the bus does not answer. Tap again later.', show_alert: true });
    assert.equal(
      fake
        .said()
        .find(({ message_id }) => message_id === message)
        ?.buttons.flat().length,
      2,
    );
    fake.say('/status');
    await fake.eventually(() =>
      fake.said().find(({ text }) => text.includes('The bus does not answer, so nothing was done.')),
    );
  });

  it('knows after a restart which message shows which question', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const before = await asked(stand, 'Asked before?');
    await stand.running().stop();
    await client.respond(before.id, { response: 'yes', responder: 'BERTA', via: 'console' });
    await stand.restart();
    await fake.eventually(() =>
      fake.said().find(({ message_id, text }) => message_id === before.message && /BERTA \(console\)/.test(text)),
    );
    assert.equal(fake.said().filter(({ text }) => text.includes('Asked before?')).length, 1);
  });

  it('goes on where a tap cannot be acknowledged any more', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const { id, message } = await asked(stand, 'Shall we?');
    fake.trouble('cut-after', { method: 'answerCallbackQuery' });
    fake.tap(message, 'yes');
    await fake.eventually(() =>
      fake.said().find(({ message_id, buttons }) => message_id === message && buttons.length === 0),
    );
    assert.equal((await client.event(id)).human_response, 'yes');
  });

  it('answers by its words, and says yes to what is approved', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const one = await asked(stand, 'What colour?', { human_options: null });
    fake.say(`/respond ${one.id} light blue`);
    await fake.eventually(() => fake.said().find(({ text }) => text === 'Stored: light blue'));
    assert.equal((await client.event(one.id)).human_response, 'light blue');
    const two = await asked(stand, 'Shall we?');
    fake.say(`/approve ${two.id}`);
    await fake.eventually(() => fake.said().find(({ text }) => text === 'Stored: yes'));
    fake.say('/approve nothing');
    await fake.eventually(() =>
      fake.said().find(({ text }) => text.startsWith('No open question begins with nothing')),
    );
    fake.say('/pending');
    await fake.eventually(() => fake.said().find(({ text }) => text === 'No question waits for you.'));
  });

  it('asks only those who may answer', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const forBerta = {
      source_agent: 'HADES',
      action: 'x',
      target: null,
      requires_human: true,
      human_question: 'Berta?',
      answerers: ['BERTA'],
    };
    await client.publish(forBerta);
    await asked(stand, 'Olga?', { answerers: ['olga'] });
    assert.equal(fake.said().filter(({ text }) => text.includes('Berta?')).length, 0);
  });

  it('puts a question of any length and any name to the person', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const id = `q/${'x'.repeat(190)}`;
    const options = ['x'.repeat(200), '<b>', 'ok'];
    const question = {
      id,
      source_agent: 'HADES',
      action: 'x',
      target: null,
      requires_human: true,
      human_question: `Long ${'&<'.repeat(1990)}`,
      human_options: options,
    };
    await client.publish(question);
    const last = await fake.eventually(() => fake.said().find(({ buttons }) => buttons.flat().length === 3));
    const tap = fake.tap(last.message_id, 1);
    await fake.eventually(() => tap.answer);
    assert.equal((await client.event(id)).human_response, '<b>');
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('✅ <b>')));
    assert.deepEqual(fake.refused(), []);
  });

  it('has its token in no line of its log', async (t) => {
    const stand = await startControlBot(t, { callSeconds: 1, pollSeconds: 1, longestSleepMs: 200 });
    const { fake } = stand;
    for (const kind of ['500', 'cut', 'silence', '409'] as const) fake.trouble(kind, { method: 'getUpdates' });
    for (const kind of ['500', 'cut', 'silence'] as const) fake.trouble(kind, { method: 'sendMessage' });
    fake.say('/status');
    await fake.eventually(() =>
      fake.said().find(({ text }) => text.startsWith('atlas.status') || text.startsWith('❌')),
    );
    fake.revoke(true);
    await assert.rejects(stand.running().ended, /Telegram does not take the token/);
    assert.notEqual(stand.log(), '');
    assert.ok(!stand.log().includes(fakeBots.control.slice(8)), stand.log());
  });
});
