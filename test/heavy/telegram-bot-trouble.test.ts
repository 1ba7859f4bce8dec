import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type PersonName, people } from '../../src/channels/telegram/fake/world.ts';
import { asked, startControlBot } from '../control-bot.fixtures.ts';

describe('the control bot and who may speak to it', { timeout: 120_000 }, () => {
  it('answers a stranger with silence, and says so once on the bus', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const { message } = await asked(stand, 'Shall we?');
    fake.say('/start', { as: 'stranger' });
    fake.say('/status', { as: 'stranger' });
    const tap = fake.tap(message, 'yes', { as: 'stranger' });
    // What the owner says is read after all that.
    fake.say('/pending');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('One question waits')));
    assert.deepEqual(fake.said({ as: 'stranger' }), []);
    assert.equal(tap.answer, undefined);
    const { events } = await client.events({ action: 'telegram_stranger' });
    assert.deepEqual(
      events.map(({ source_agent, details }) => [source_agent, details?.user_id]),
      [['TELEGRAM', people.stranger.id]],
    );
  });

  it('says nothing in a group, also to its owner', async (t) => {
    const { fake } = await startControlBot(t);
    fake.say('/status', { where: 'group' });
    fake.say('/help');
    await fake.eventually(() => fake.said().length > 1);
    assert.deepEqual(fake.said({ where: 'group' }), []);
  });

  it('does nothing for what is forwarded or changed afterwards', async (t) => {
    const { fake, did } = await startControlBot(t);
    const before = fake.said().length;
    fake.forward('/brew pot', 'stranger');
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('nothing for a forwarded message')));
    const said = fake.say('/help');
    fake.edit(said, '/brew pot');
    fake.say('/pending');
    await fake.eventually(() => fake.said().length >= before + 3);
    assert.deepEqual(did, []);
  });

  it('does once what comes twice, also over a restart', async (t) => {
    const stand = await startControlBot(t);
    const { fake, did } = stand;
    fake.say('/brew pot');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('tea.brew')));
    fake.say('/help');
    await fake.eventually(() => fake.said().length >= 3);
    const before = fake.said().length;
    assert.ok(fake.repeat(2) > 0);
    await stand.restart();
    fake.repeat(2);
    fake.say('/pending');
    await fake.eventually(() => fake.said().length > before);
    assert.equal(did.length, 1);
    assert.equal(fake.said().length, before + 1);
  });
});

describe('the control bot in trouble', { timeout: 120_000 }, () => {
  it('lives with too many requests, errors, silence and connections that break', async (t) => {
    const { fake } = await startControlBot(t, { callSeconds: 1, pollSeconds: 1, longestSleepMs: 200 });
    for (const method of ['getUpdates', 'sendMessage'])
      for (const kind of ['429', '500', 'silence', 'cut'] as const) fake.trouble(kind, { method });
    fake.say('/help');
    await fake.eventually(() => fake.said().length > 1);
    assert.equal(fake.said().length, 2);
  });

  it('tells when somebody else reads its messages, once', async (t) => {
    const { fake, client } = await startControlBot(t, { pollSeconds: 1 });
    fake.trouble('409', { method: 'getUpdates', times: 2 });
    const told = await fake.eventually(() => fake.said().find(({ text }) => text.includes('telegram_other_poller')));
    assert.match(told.text, /the token is stolen: revoke it/);
    fake.say('/help');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('LeverEdge')));
    const { events } = await client.events({ action: 'telegram_other_poller' });
    assert.equal(events.length, 1);
  });

  it('ends when its token is revoked, and says what to do', async (t) => {
    const stand = await startControlBot(t);
    stand.fake.revoke(true);
    await assert.rejects(stand.running().ended, { code: 'unauthorized', hint: /leveredge telegram setup/ });
  });

  it('lets a message go that can never be changed, and sends what comes after it', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const { id, message } = await asked(stand, 'Shall we?');
    const { messages } = fake.bot('control');
    messages.splice(
      messages.findIndex(({ message_id }) => message_id === message),
      1,
    );
    await client.respond(id, { response: 'yes', responder: 'BERTA', via: 'cli' });
    fake.say('/help');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('LeverEdge')));
    await fake.eventually(() => /cannot be delivered and is dropped/.test(stand.log()));
    await fake.eventually(() => stand.running().journal.waiting() === 0);
  });

  it('goes on with what a blocked chat missed when it is open again', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    fake.block(true);
    await client.publish({
      source_agent: 'HADES',
      action: 'x',
      target: null,
      requires_human: true,
      human_question: 'Missed?',
    });
    await fake.eventually(() => fake.refused().some(({ refusal }) => refusal === 'person-has-blocked'));
    fake.say('/pending');
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('Missed?')));
  });
});

describe('what the control bot tells and does', { timeout: 120_000 }, () => {
  it('tells what went wrong and what was backed up, each once, also over a restart', async (t) => {
    const stand = await startControlBot(t);
    const { fake, client } = stand;
    const say = (action: string, details: Record<string, string>) =>
      client.publish({ source_agent: 'CHRONOS', action, target: 'dev', details });
    await say('backup_failed', { says: 'The disk is <full> & slow.' });
    await fake.eventually(() =>
      fake.said().find(({ text }) => /⚠️ backup_failed · dev\nThe disk is <full> & slow\./.test(text)),
    );
    await stand.running().stop();
    await say('backup_completed', { backup: 'dev-2026-01-16-103000' });
    await say('nobody_cares', {});
    await stand.restart();
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('dev-2026-01-16-103000')));
    assert.equal(fake.said().filter(({ text }) => /backup_/.test(text)).length, 2);
    assert.ok(!fake.said().some(({ text }) => text.includes('nobody_cares')));
  });

  it('calls what a command or a sentence names, and tells its end', async (t) => {
    const { fake, did } = await startControlBot(t);
    fake.say('/brew pot cups=3');
    await fake.eventually(() => fake.said().find(({ text }) => text === 'tea.brew\ncups: 3\nfor: olga'));
    fake.say('/look@control_bot pot');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('tea.look')));
    fake.say('tea look pot');
    await fake.eventually(() => fake.said().filter(({ text }) => text.startsWith('tea.look')).length === 2);
    fake.say('make me happy');
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('is nothing that can be done')));
    fake.say('/statsu');
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('Did you mean /status?')));
    fake.say('/brew');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('Which target? /brew TARGET')));
    fake.say('/brew pot cups=99');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('❌')));
    assert.deepEqual(
      did.map(({ what }) => what),
      ['brew', 'look', 'look'],
    );
  });

  it('has the phones of those who are listed offer its commands: none that does nothing, and none that takes a secret', async (t) => {
    const { fake } = await startControlBot(t, { users: ['owner', 'friend'] });
    const namesFor = (as: PersonName) => fake.chat({ as }).commands.map(({ command }) => command);
    for (const as of ['owner', 'friend'] as const) await fake.eventually(() => namesFor(as).length > 0);
    const names = namesFor('owner');
    for (const there of ['start', 'status', 'agents', 'pending', 'respond', 'approve', 'backup', 'restore', 'events'])
      assert.ok(names.includes(there), there);
    assert.ok(names.includes('silence'));
    assert.ok(!names.includes('whisper'));
    assert.equal(new Set(names).size, names.length);
    fake.say('/start', { as: 'stranger' });
    fake.say('/help');
    await fake.eventually(() => fake.said().length > 1);
    assert.deepEqual(namesFor('stranger'), []);
    assert.deepEqual(fake.chat({ where: 'group' }).commands, []);
  });

  it('offers its commands to somebody who writes for the first time only later', async (t) => {
    const { fake, running } = await startControlBot(t, { users: ['owner'], listed: ['owner', 'friend'] });
    await fake.eventually(() => fake.chat().commands.length > 0);
    await fake.eventually(() =>
      fake.refused().some(({ method, refusal }) => method === 'setmycommands' && refusal === 'chat-unknown'),
    );
    assert.deepEqual(fake.chat({ as: 'friend' }).commands, []);
    fake.say('/start', { as: 'friend' });
    await fake.eventually(() => fake.chat({ as: 'friend' }).commands.length > 0);
    await running().stop();
  });

  it('is silent when told to, asks all the same, and says at the end what it held back, also over a restart', async (t) => {
    const stand = await startControlBot(t, { longestSleepMs: 200 });
    const { fake, client } = stand;
    const fails = (target: string) => client.publish({ source_agent: 'CHRONOS', action: 'backup_failed', target });
    const told = (text: RegExp) =>
      fake.eventually(() => fake.said().find((each) => text.test(each.text)), String(text));
    for (const [words, answer] of [
      ['/silence', /^Nothing is silent\./],
      ['/silence dev', /^For how long about dev\?/],
      ['/silence soon enough please', /^That is more than a target and a time\./],
      ['/silence dev 30m', /^🔕 Silent about dev until .* held back so far: 0\.\nQuestions come all the same/],
    ] as const) {
      fake.say(words);
      await told(answer);
    }
    for (let n = 0; n < 3; n++) await fails('dev');
    await fails('prod');
    await told(/backup_failed · prod/);
    await asked(stand, 'Even so?');
    await stand.restart();
    fake.say('/silence');
    await told(/Silent about dev until .* held back so far: 3\./);
    await stand.running().stop();
    stand.later(31 * 60_000);
    await stand.restart();
    await told(/^🔔 The silence about dev is over\.\nHeld back were:\n• 3 × backup_failed · dev/);
    await fails('dev');
    await told(/^⚠️ backup_failed · dev/);
    assert.equal(fake.said().filter(({ text }) => text.startsWith('⚠️ backup_failed · dev')).length, 1);
    fake.say('/silence 2h');
    await told(/^🔕 Silent until/);
    await fails('prod');
    await client.publish({ source_agent: 'CHRONOS', action: 'agent_lost', target: null });
    await fake.eventually(() => /"prod|\\tprod/.test(stand.running().journal.get(`silence ${people.owner.id}`) ?? ''));
    await fake.eventually(() => /agent_lost/.test(stand.running().journal.get(`silence ${people.owner.id}`) ?? ''));
    fake.say('/silence off');
    await told(
      /^🔔 The silence is over\.\nHeld back were:\n• 1 × backup_failed · prod, last .*\n• 1 × agent_lost, last/,
    );
  });
});
