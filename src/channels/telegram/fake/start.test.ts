import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { viewOf } from './play.ts';
import { type RefusalName, refusals } from './refusals.ts';
import { fakeBots, startFakeTelegram } from './start.ts';
import { people } from './world.ts';

const owner = people.owner.id;
const stranger = people.stranger.id;
const group = -4_550_001;

type Answer = {
  status: number;
  ok: boolean;
  result: { message_id: number } & Record<string, unknown>;
  description: string;
  parameters?: { retry_after: number };
};
type Stand = Awaited<ReturnType<typeof standing>>;

/** A fake with the owner's first message said, and a client that knows no rule. */
async function standing(t: TestContext) {
  let now = Date.UTC(2026, 0, 16);
  const fake = await startFakeTelegram({ clock: () => now });
  t.after(() => fake.close());
  const [bot] = fake.world.bots;
  assert.ok(bot);
  fake.play.say(bot, { as: 'owner', where: 'private', text: '/start' });
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(fake.url + path, init);
    return { status: response.status, ...((await response.json()) as Omit<Answer, 'status'>) };
  };
  const call = (method: string, body: Record<string, unknown> = {}, token: string = fakeBots.control) =>
    send(`/bot${token}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  return {
    fake,
    bot,
    send,
    call,
    say: (text: string, rest: Record<string, unknown> = {}) => call('sendMessage', { chat_id: owner, text, ...rest }),
    keys: (...buttons: unknown[]) =>
      call('sendMessage', { chat_id: owner, text: 'Well?', reply_markup: { inline_keyboard: [buttons] } }),
    later: (ms: number) => {
      now += ms;
    },
  };
}

const textButton = (data: string) => ({ text: 'Yes', callback_data: data });

async function tapped({ fake, bot, keys }: Stand): Promise<string> {
  const { result } = await keys(textButton('yes'));
  return fake.play.tap(bot, { as: 'owner', message_id: result.message_id, button: 'Yes' }).id;
}

async function until(times: number, say: () => Promise<Answer>): Promise<Answer> {
  for (let at = 0; at < times; at++) {
    const answer = await say();
    if (!answer.ok) return answer;
  }
  throw new Error(`${times} went through`);
}

function upload(bytes: number, caption = ''): FormData {
  const form = new FormData();
  form.set('chat_id', String(owner));
  if (caption) form.set('caption', caption);
  form.set('document', new Blob([new Uint8Array(bytes)]), 'log.txt');
  return form;
}

/** For each refusal what a client does that does not know the rule. */
const naive: { [name in RefusalName]: (stand: Stand) => Promise<Answer> } = {
  'path-unknown': ({ send }) => send('/getMe', {}),
  'token-unknown': ({ call }) => call('getMe', {}, `7000009:${'A'.repeat(35)}`),
  'token-malformed': ({ call }) => call('getMe', {}, 'mybot'),
  'method-unknown': ({ call }) => call('sendMesage'),
  'body-unreadable': ({ send }) =>
    send(`/bot${fakeBots.control}/sendMessage`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"chat_id": 5,',
    }),
  'body-kind-unknown': ({ send }) =>
    send(`/bot${fakeBots.control}/sendMessage`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'chat_id=5&text=Hello',
    }),
  'body-too-large': ({ send }) =>
    send(`/bot${fakeBots.control}/sendDocument`, { method: 'POST', body: upload(50_000_001) }),
  async 'other-poller'({ call }) {
    await call('getUpdates', { offset: 100_002 });
    const first = call('getUpdates', { timeout: 20 });
    const isWaiting = new Promise((resolve) => setTimeout(resolve, 100));
    await isWaiting;
    await call('getUpdates', { timeout: 0 });
    return first;
  },
  'chat-missing': ({ call }) => call('sendMessage', { text: 'Hello' }),
  'chat-unknown': ({ call }) => call('sendMessage', { chat_id: 42, text: 'Hello' }),
  'person-has-not-written': ({ call }) => call('sendMessage', { chat_id: stranger, text: 'Hello' }),
  async 'person-has-blocked'({ fake, bot, say }) {
    fake.play.block(bot, { as: 'owner', on: true });
    return say('Hello');
  },
  'not-in-group': ({ call }) => call('sendMessage', { chat_id: group, text: 'Hello' }),
  'text-empty': ({ say }) => say(' \n'),
  'text-too-long': ({ say }) => say('x'.repeat(4097)),
  'mode-unknown': ({ say }) => say('Hello', { parse_mode: 'BBCode' }),
  'entities-broken': ({ say }) => say('<b>Failed: disk full', { parse_mode: 'HTML' }),
  'tag-unknown': ({ say }) => say('deploy_failed by <nobody>', { parse_mode: 'HTML' }),
  'markup-unreadable': ({ say }) => say('Well?', { reply_markup: '{"inline_keyboard":' }),
  'markup-no-rows': ({ say }) => say('Well?', { reply_markup: { inline_keyboard: [textButton('yes')] } }),
  'button-without-text': ({ keys }) => keys({ callback_data: 'yes' }),
  'button-without-kind': ({ keys }) => keys({ text: 'Yes' }),
  'button-data-size': ({ keys }) => keys(textButton('é'.repeat(33))),
  'message-missing': ({ call }) => call('editMessageText', { chat_id: owner, text: 'Done' }),
  'edit-unknown': ({ call }) => call('editMessageText', { chat_id: owner, message_id: 99, text: 'Done' }),
  'edit-of-others': ({ call }) => call('editMessageText', { chat_id: owner, message_id: 1, text: 'Done' }),
  async 'edit-without-change'({ call, say }) {
    const { result } = await say('Done');
    return call('editMessageText', { chat_id: owner, message_id: result.message_id, text: 'Done' });
  },
  'delete-unknown': ({ call }) => call('deleteMessage', { chat_id: owner, message_id: 99 }),
  async 'delete-too-late'({ call, later }) {
    later(48 * 3_600_000);
    return call('deleteMessage', { chat_id: owner, message_id: 1 });
  },
  'delete-of-others'({ fake, bot, call }) {
    const { message_id } = fake.play.say(bot, { as: 'owner', where: 'group', text: '123456' });
    return call('deleteMessage', { chat_id: group, message_id });
  },
  async 'query-over'(stand) {
    const id = await tapped(stand);
    await stand.call('answerCallbackQuery', { callback_query_id: id });
    return stand.call('answerCallbackQuery', { callback_query_id: id });
  },
  async 'answer-too-long'(stand) {
    return stand.call('answerCallbackQuery', { callback_query_id: await tapped(stand), text: 'x'.repeat(201) });
  },
  'command-invalid': ({ call }) => call('setMyCommands', { commands: [{ command: '/Status', description: 'x' }] }),
  'command-undescribed': ({ call }) => call('setMyCommands', { commands: [{ command: 'status', description: '' }] }),
  'commands-too-many': ({ call }) =>
    call('setMyCommands', {
      commands: Array.from({ length: 101 }, (_, at) => ({ command: `c${at}`, description: 'x' })),
    }),
  'scope-unknown': ({ call }) => call('setMyCommands', { commands: [], scope: { type: 'friends' } }),
  'action-unknown': ({ call }) => call('sendChatAction', { chat_id: owner, action: 'thinking' }),
  'document-missing': ({ call }) => call('sendDocument', { chat_id: owner, document: 'log.txt' }),
  'caption-too-long': ({ send }) =>
    send(`/bot${fakeBots.control}/sendDocument`, { method: 'POST', body: upload(3, 'x'.repeat(1025)) }),
  'chat-flooded': ({ say }) => until(20, () => say('Hello')),
  async 'group-flooded'({ fake, bot, call, later }) {
    fake.play.say(bot, { as: 'owner', where: 'group', text: '/start' });
    return until(40, () => {
      later(1000);
      return call('sendMessage', { chat_id: group, text: 'Hello' });
    });
  },
  async 'all-flooded'({ fake }) {
    // There are three chats only, so that many at once are had by a chat that takes them.
    const wide = await startFakeTelegram({ limits: { chatBurst: 100 }, clock: fake.world.clock });
    try {
      wide.play.say(wide.world.bots[0] as never, { as: 'owner', where: 'private', text: '/start' });
      return await until(40, async () => {
        const response = await fetch(`${wide.url}/bot${fakeBots.control}/sendMessage?chat_id=${owner}&text=Hello`);
        return { status: response.status, ...((await response.json()) as Omit<Answer, 'status'>) };
      });
    } finally {
      await wide.close();
    }
  },
};

describe('the fake Telegram', { timeout: 60_000 }, () => {
  for (const [name, attempt] of Object.entries(naive) as [RefusalName, (stand: Stand) => Promise<Answer>][])
    it(`refuses a client that knows nothing of ${name}`, async (t) => {
      const stand = await standing(t);
      const { status, ok, description, parameters } = await attempt(stand);
      const { code, says } = refusals[name];
      assert.equal(ok, false);
      assert.equal(status, code, description);
      const [before = '', after = ''] = says.split('{}');
      assert.ok(description.startsWith(before) && description.endsWith(after), description);
      if (code === 429) assert.ok((parameters?.retry_after ?? 0) >= 1);
      if (name !== 'all-flooded') assert.equal(stand.fake.world.refused.at(-1)?.refusal, name);
    });

  it('takes parameters in the URL, in a form, as JSON and in several parts alike', async (t) => {
    const { send, call } = await standing(t);
    const path = `/bot${fakeBots.control}/sendMessage`;
    const form = new FormData();
    form.set('chat_id', String(owner));
    form.set('text', 'Hello');
    const answers = [
      await send(`${path}?chat_id=${owner}&text=Hello`, {}),
      await send(path, { method: 'POST', body: new URLSearchParams({ chat_id: String(owner), text: 'Hello' }) }),
      await call('SENDMESSAGE', { chat_id: owner, text: 'Hello' }),
      await send(path, { method: 'POST', body: form }),
    ];
    assert.deepEqual(
      answers.map(({ result }) => result?.text),
      ['Hello', 'Hello', 'Hello', 'Hello'],
    );
  });

  it('gives updates again until an offset confirms them', async (t) => {
    const { fake, bot, call } = await standing(t);
    fake.play.say(bot, { as: 'owner', where: 'private', text: 'Hello' });
    const ids = async (offset?: number) =>
      (
        (await call('getUpdates', offset === undefined ? {} : { offset })).result as never as { update_id: number }[]
      ).map(({ update_id }) => update_id - 100_000);
    assert.deepEqual(await ids(), [1, 2]);
    assert.deepEqual(await ids(), [1, 2]);
    assert.deepEqual(await ids(100_002), [2]);
    assert.deepEqual(await ids(100_003), []);
    fake.play.repeat(bot, 2);
    assert.deepEqual(await ids(100_001), [1, 2]);
  });

  it('lets a poll wait for the next update', async (t) => {
    const { fake, bot, call } = await standing(t);
    const waiting = call('getUpdates', { offset: 100_002, timeout: 20 });
    fake.play.say(bot, { as: 'owner', where: 'private', text: 'Hello' });
    const { result } = await waiting;
    assert.equal((result as never as { update_id: number }[]).length, 1);
  });

  it('lets an answer to a tap through in time only', async (t) => {
    const stand = await standing(t);
    const id = await tapped(stand);
    stand.later(60_000);
    const { description } = await stand.call('answerCallbackQuery', { callback_query_id: id });
    assert.match(description, /query is too old/);
  });

  it('goes on refusing whoever sends on instead of waiting', async (t) => {
    const { say, later } = await standing(t);
    const { parameters } = await until(20, () => say('Hello'));
    later((parameters?.retry_after ?? 0) * 1000 - 1);
    assert.equal((await say('Hello')).ok, false);
    later(1);
    assert.equal((await say('Hello')).ok, true);
  });

  it('breaks off as it is told: before the call was done, or after', async (t) => {
    const { fake, bot, say } = await standing(t);
    const trouble = { method: 'sendmessage', times: 1, retryAfter: 7 };
    fake.troubles.add('control', { ...trouble, kind: 'cut' });
    await assert.rejects(say('one'));
    fake.troubles.add('control', { ...trouble, kind: 'cut-after' });
    await assert.rejects(say('two'));
    fake.troubles.add('control', { ...trouble, kind: '429' });
    assert.equal((await say('three')).parameters?.retry_after, 7);
    fake.troubles.add('control', { ...trouble, kind: '500' });
    assert.equal((await say('three')).status, 500);
    assert.deepEqual(
      bot.messages.map(({ text }) => text),
      ['/start', 'two'],
    );
  });

  it('takes no orders from a page of another site', async (t) => {
    const { fake } = await standing(t);
    const asForm = await fetch(`${fake.url}/play/say`, {
      method: 'POST',
      body: new URLSearchParams({ text: '/start' }),
    });
    assert.equal(asForm.status, 400);
    const status = await new Promise((resolve, reject) => {
      const asked = request(`${fake.url}/play/bots`, { headers: { host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', reject).end();
    });
    assert.equal(status, 400);
  });

  it('lets what somebody wrote be taken away in their own chat, once', async (t) => {
    const { fake, bot, call } = await standing(t);
    const { message_id } = fake.play.say(bot, { as: 'owner', where: 'private', text: '123456' });
    assert.equal((await call('deleteMessage', { chat_id: owner, message_id })).ok, true);
    assert.match((await call('deleteMessage', { chat_id: owner, message_id })).description, /to delete not found/);
    assert.deepEqual(
      bot.messages.map(({ text }) => text),
      ['/start'],
    );
  });

  it('shows the commands of a chat there, before those of all chats, and takes none for a chat that nobody began', async (t) => {
    const { fake, bot, call } = await standing(t);
    const commands = (command: string) => ({ commands: [{ command, description: 'x' }] });
    const shown = (as: 'owner' | 'stranger', where: 'private' | 'group' = 'private') =>
      viewOf(fake.world, bot, as, where).commands.map(({ command }) => command);
    await call('setMyCommands', commands('all'));
    assert.deepEqual([shown('owner'), shown('stranger'), shown('owner', 'group')], [['all'], ['all'], ['all']]);
    await call('setMyCommands', { ...commands('one'), scope: { type: 'chat', chat_id: owner } });
    assert.deepEqual([shown('owner'), shown('stranger')], [['one'], ['all']]);
    await call('deleteMyCommands');
    assert.deepEqual([shown('owner'), shown('stranger')], [['one'], []]);
    const { status } = await call('setMyCommands', { ...commands('x'), scope: { type: 'chat', chat_id: stranger } });
    assert.equal(status, 400);
    assert.equal(fake.world.refused.at(-1)?.refusal, 'chat-unknown');
  });

  it('sends along the message that one answers', async (t) => {
    const { fake, bot, call, say } = await standing(t);
    const { result } = await say('Your code?');
    fake.play.say(bot, { as: 'owner', where: 'private', text: '123456', answers: result.message_id });
    const updates = (await call('getUpdates')).result as never as {
      message: { reply_to_message?: { message_id: number; text: string } };
    }[];
    assert.equal(updates.at(-1)?.message.reply_to_message?.text, 'Your code?');
  });

  it('serves a page that runs its own script alone', async (t) => {
    const { fake } = await standing(t);
    const response = await fetch(fake.url);
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'sha256-/);
    assert.match(await response.text(), /<title>Fake Telegram/);
  });
});
