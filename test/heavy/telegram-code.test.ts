import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import type { PersonName } from '../../src/channels/telegram/fake/world.ts';
import { type Stand, startControlBot } from '../control-bot.fixtures.ts';
import { configureGaia, enrol } from '../two-factor.fixtures.ts';

const minute = 60_000;

/** A bot, and GAIA with a second factor in its home. */
async function withFactor(t: TestContext, options: Parameters<typeof startControlBot>[1] = {}) {
  const stand = await startControlBot(t, options);
  configureGaia(stand.bus.home);
  return { ...stand, factor: enrol(stand.bus.home) };
}

/** A question whose yes takes a code, as everybody who is listed sees it. */
async function spillUrn({ fake, client }: Stand) {
  const asked = (as: PersonName = 'owner') => fake.said({ as }).filter(({ text }) => /^❓[\s\S]*of urn\?/.test(text));
  const before = asked().length;
  fake.say('/spill urn');
  const shown = (as: PersonName = 'owner') => asked(as)[before];
  const { message_id: message, text } = await fake.eventually(() => shown());
  const { pending } = await client.pending({ limit: 10 });
  const { id } = pending.find((each) => text.includes(each.id)) ?? assert.fail('it is not asked');
  return { id, message, shown };
}

const says = ({ fake }: Pick<Stand, 'fake'>, text: RegExp, as: PersonName = 'owner') =>
  fake.eventually(() => fake.said({ as }).find((message) => text.test(message.text)), String(text));

async function tap({ fake }: Pick<Stand, 'fake'>, message: number, option: string, as: PersonName = 'owner') {
  const tapped = fake.tap(message, option, { as });
  await fake.eventually(() => tapped.answer);
  return tapped.answer?.text ?? '';
}

/** The message that asks for the code of the newest tap. */
async function prompt(stand: Pick<Stand, 'fake'>, as: PersonName = 'owner') {
  await says(stand, /^🔐/, as);
  return stand.fake.said({ as }).findLast(({ text }) => text.startsWith('🔐'))?.message_id as number;
}

/** Sends a code, and waits until it is gone from the chat. */
async function send({ fake }: Pick<Stand, 'fake'>, code: string, answers?: number, as: PersonName = 'owner') {
  const id = fake.say(code, { as, ...(answers === undefined ? {} : { answers }) });
  await fake.eventually(
    () => !fake.chat({ as }).messages.some(({ message_id }) => message_id === id),
    'it is taken away',
  );
}

const isOpen = async ({ client }: Stand, id: string) => (await client.event(id)).human_state === 'open';

describe('a yes at the control bot that takes a code', { timeout: 240_000, concurrency: 2 }, () => {
  it('counts with a right code alone, which nobody reads afterwards', async (t) => {
    const stand = await withFactor(t);
    const { fake, client, factor, did } = stand;
    const { id, message } = await spillUrn(stand);
    assert.equal(await tap(stand, message, 'yes'), 'Now your code.');
    const asks = await prompt(stand);
    assert.ok(await isOpen(stand, id));
    const wrong = factor.wrong();
    await send(stand, wrong, asks);
    await says(stand, /^That code is wrong \(1 of 10\)/);
    assert.ok(await isOpen(stand, id));
    const code = factor.code();
    await send(stand, `${code.slice(0, 3)} ${code.slice(3)}`, asks);
    await says(stand, /^Stored: yes$/);
    await says(stand, /^tea\.spill\ncups: 7/);
    assert.equal(did.length, 1);
    for (const each of [message, asks])
      await fake.eventually(() =>
        fake.said().find((said) => said.message_id === each && /✅ yes — olga \(telegram\)/.test(said.text)),
      );
    const { events } = await client.events({ action: 'human_responded' });
    assert.equal(events[0]?.details?.confirmed_by, 'code');
    const tried = (await client.events({ action: 'telegram_code_refused' })).events;
    assert.deepEqual(
      tried.map(({ source_agent, details }) => [source_agent, details?.question]),
      [['TELEGRAM', id]],
    );
    assert.equal(factor.failures(), 0);
    assert.deepEqual(fake.refused(), []);
    const told = [stand.log(), stand.bus.log(), JSON.stringify((await client.events({ limit: 500 })).events)].join('');
    const journal = readFileSync(stand.file).toString('latin1');
    for (const each of [code, wrong]) {
      assert.ok(!told.includes(`"${each}`) && !journal.includes(`"${each}`));
      assert.ok(!fake.chat().messages.some(({ text }) => text.replaceAll(' ', '') === each));
    }
  });

  it('is not needed for a no, nor for what may be tried on', async (t) => {
    const stand = await withFactor(t);
    const { message } = await spillUrn(stand);
    assert.equal(await tap(stand, message, 'no'), 'Stored: no');
    assert.equal(stand.fake.said().filter(({ text }) => text.startsWith('🔐')).length, 0);
  });

  it('decides nothing where no second factor is set up, and names the command', async (t) => {
    const stand = await startControlBot(t);
    configureGaia(stand.bus.home);
    const { id, message } = await spillUrn(stand);
    assert.match(await tap(stand, message, 'yes'), /^Not decided/);
    const { text } = await says(stand, /^❌ Not decided/);
    assert.match(text, /gaia 2fa enroll[\s\S]*leveredge answer \S+ yes/);
    assert.ok(await isOpen(stand, id));
    // Nothing waits for a code then, so that whatever is typed is none.
    stand.fake.say('123456');
    await says(stand, /^Nothing waits for a code of yours/);
  });

  it('waits for one code, however often it is tapped, and for the newest question', async (t) => {
    const stand = await withFactor(t);
    const { fake, factor } = stand;
    const first = await spillUrn(stand);
    assert.equal(await tap(stand, first.message, 'yes'), 'Now your code.');
    assert.match(await tap(stand, first.message, 'yes'), /^I wait for your code/);
    const old = await prompt(stand);
    const second = await spillUrn(stand);
    assert.equal(await tap(stand, second.message, 'yes'), 'Now your code.');
    await fake.eventually(() => fake.said().filter(({ text }) => text.startsWith('🔐')).length === 2);
    // The code for the one is none for the other, and is not looked at.
    await send(stand, factor.code(), old);
    await says(stand, /^That was an answer to another message/);
    await send(stand, factor.code());
    await says(stand, /^Stored: yes$/);
    assert.deepEqual([await isOpen(stand, first.id), await isOpen(stand, second.id)], [true, false]);
  });

  it('is not given by a message that is changed into a code, nor by a code that was used', async (t) => {
    const stand = await withFactor(t);
    const { fake, factor } = stand;
    const { id, message } = await spillUrn(stand);
    await tap(stand, message, 'yes');
    const asks = await prompt(stand);
    const said = fake.say('/help');
    const code = factor.code();
    fake.edit(said, code);
    assert.equal(factor.tryElsewhere(code).kind, 'right');
    await send(stand, code, asks);
    await says(stand, /^That code was used already/);
    assert.ok(await isOpen(stand, id));
    fake.say('what', { answers: asks });
    await says(stand, /^That has not the form of a code/);
    await send(stand, factor.paper[0]?.toLowerCase() as string);
    await says(stand, /^Stored: yes\nThat was a backup code; 9 are left\./);
  });

  it('is of whoever tapped: of two the first decides, and the other’s code is not looked at', async (t) => {
    const stand = await withFactor(t, { users: ['owner', 'friend'] });
    const { factor, fake, client } = stand;
    const { id, message, shown } = await spillUrn(stand);
    const theirs = (await fake.eventually(() => shown('friend'))).message_id;
    fake.say(factor.code(), { as: 'friend' });
    await says(stand, /^Nothing waits for a code of yours/, 'friend');
    await Promise.all([tap(stand, message, 'yes'), tap(stand, theirs, 'yes', 'friend')]);
    const asks = [await prompt(stand), await prompt(stand, 'friend')] as const;
    await Promise.all([send(stand, factor.code(), asks[0]), send(stand, factor.code(1), asks[1], 'friend')]);
    assert.equal(await isOpen(stand, id), false);
    const { events } = await client.events({ action: 'human_responded' });
    assert.equal(events.length, 1);
    const by = events[0]?.details?.reason as string;
    assert.match(by, /^(olga|bert) on Telegram$/);
    // Both see who it was.
    for (const [as, each] of [
      ['owner', message],
      ['friend', theirs],
    ] as const)
      await fake.eventually(() =>
        fake.said({ as }).find((said) => said.message_id === each && said.text.includes(`. ${by}`)),
      );
    const loser = by.startsWith('olga') ? 'friend' : 'owner';
    await says(stand, /^(Decided already: yes|Nothing waits for a code)/, loser);
    // One code at most was used up: the later one is still good, or the earlier was the one.
    assert.equal(factor.failures(), 0);
  });

  it('is over when somebody decides elsewhere, when its time is over, and when the bus is away', async (t) => {
    const stand = await withFactor(t);
    const { fake, factor, client } = stand;
    const first = await spillUrn(stand);
    await tap(stand, first.message, 'yes');
    const asks = await prompt(stand);
    const { payload_hash } = await client.event(first.id);
    await stand.approver.respond(first.id, { response: 'no', via: 'console', payload_hash });
    await fake.eventually(() => fake.said().find((each) => each.message_id === asks && /✅ no — anna/.test(each.text)));
    await send(stand, factor.code(), asks);
    await says(stand, /^Nothing waits for a code of yours/);
    const second = await spillUrn(stand);
    await tap(stand, second.message, 'yes');
    await fake.eventually(() => fake.said().filter(({ text }) => text.startsWith('🔐')).length === 2);
    stand.later(5 * minute + 1000);
    await send(stand, factor.code());
    await says(stand, /^That was more than 5 minutes after your tap/);
    stand.later(-5 * minute - 1000);
    assert.equal(await tap(stand, second.message, 'yes'), 'Now your code.');
    await stand.bus.kill();
    await send(stand, factor.code());
    await says(stand, /^⚠️ The bus does not answer\.\nYour code was not looked at\./);
    assert.equal(factor.tryElsewhere(factor.code()).kind, 'right');
  });

  it('waits on over a restart of the bot, and has one guard with the emergency bot', async (t) => {
    const stand = await withFactor(t);
    const { factor } = stand;
    const { id, message } = await spillUrn(stand);
    await tap(stand, message, 'yes');
    await prompt(stand);
    await stand.restart();
    for (let n = 0; n < 3; n++) factor.tryElsewhere(factor.wrong());
    await send(stand, factor.code());
    await says(stand, /^There were wrong codes\. The next one counts in/);
    assert.ok(await isOpen(stand, id));
  });

  it('goes on where the message with the code is gone already, or cannot be taken away', async (t) => {
    const stand = await withFactor(t);
    const { fake, factor } = stand;
    const { message } = await spillUrn(stand);
    await tap(stand, message, 'yes');
    const said = fake.say(factor.wrong(), { answers: await prompt(stand) });
    const { messages } = fake.bot('control');
    messages.splice(
      messages.findIndex(({ message_id }) => message_id === said),
      1,
    );
    await says(stand, /^That code is wrong/);
    await fake.eventually(() => fake.refused().some(({ refusal }) => refusal === 'delete-unknown'));
    fake.trouble('500', { method: 'deleteMessage', times: 2 });
    await send(stand, factor.code());
    await says(stand, /^Stored: yes$/);
    await fake.eventually(() => stand.running().journal.waiting() === 0);
  });

  it('takes a code in whatever words it is said', async (t) => {
    const stand = await withFactor(t);
    const { fake } = stand;
    const { id } = await spillUrn(stand);
    const { payload_hash } = await stand.client.event(id);
    for (const words of [`/approve ${id}`, `/respond ${id} yes`, `answer ${id} yes`]) {
      const before = fake.said().length;
      fake.say(words);
      await fake.eventually(() =>
        fake
          .said()
          .slice(before)
          .find(({ text }) => /^(Now your code|I wait for your)/.test(text)),
      );
    }
    fake.say(`/atlas_respond ${id} yes payload_hash=${payload_hash}`);
    await fake.eventually(() => fake.said().filter(({ text }) => /^I wait for your/.test(text)).length === 3);
    assert.ok(await isOpen(stand, id));
  });
});
