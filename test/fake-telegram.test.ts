import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { citedRefusals } from '../src/channels/telegram/fake/refusals.ts';
import { start } from './cli-run.fixtures.ts';
import { fakeBots, startFakeTelegram } from './fake-telegram.fixtures.ts';

describe('leveredge fake-telegram', { timeout: 60_000 }, () => {
  it('runs until it is stopped, and lets a script play the owner', async (t) => {
    const fake = start(['fake-telegram', '--port', '0', '--json']);
    t.after(() => fake.child.kill('SIGKILL'));
    const [line] = await fake.says('stdout', /^\{.*\}$/);
    const { url, bots } = JSON.parse(line) as { url: string; bots: { name: string; token: string }[] };
    assert.deepEqual(
      bots,
      Object.entries(fakeBots).map(([name, token]) => ({ name, token })),
    );
    const post = async (path: string, body: unknown) =>
      (
        await fetch(url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).json();
    await post('/play/say', { text: '/start' });
    const api = `/bot${fakeBots.control}`;
    await post(`${api}/sendMessage`, {
      chat_id: 5_550_001,
      text: 'Shall we?',
      reply_markup: { inline_keyboard: [[{ text: 'yes', callback_data: 'q1:0' }]] },
    });
    await post('/play/tap', { message_id: 2, button: 'yes' });
    const { result } = (await post(`${api}/getUpdates`, {})) as { result: { callback_query?: { data: string } }[] };
    assert.equal(result[1]?.callback_query?.data, 'q1:0');
    assert.deepEqual(await post('/play/tap', { message_id: 2, button: 'no' }), {
      error: 'Message 2 has no button "no" that can be tapped.',
    });
    assert.deepEqual(await post('/play/dance', {}), { error: 'There is no /play/dance like that.' });
    fake.child.kill('SIGINT');
    const { exit } = await fake.ended;
    assert.equal(exit, 0);
  });

  it('counts on where it is started anew, so that a bot that still runs takes nothing for old', async (t) => {
    const first = async () => {
      const fake = start(['fake-telegram', '--port', '0', '--json']);
      t.after(() => fake.child.kill('SIGKILL'));
      const [line] = await fake.says('stdout', /^\{.*\}$/);
      const { url } = JSON.parse(line) as { url: string };
      const play = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"text":"/start"}' };
      await fetch(`${url}/play/say`, play);
      const { result } = (await (await fetch(`${url}/bot${fakeBots.control}/getUpdates`)).json()) as {
        result: { update_id: number }[];
      };
      fake.child.kill('SIGINT');
      await fake.ended;
      return result[0]?.update_id as number;
    };
    const before = await first();
    await pause(1_100);
    const after = await first();
    assert.ok(after > before, `${after} after ${before}`);
  });

  it('says that its port is taken', async (t) => {
    const { port } = await startFakeTelegram(t);
    const { exit, stderr } = await start(['fake-telegram', '--port', String(port)]).ended;
    assert.equal(exit, 6);
    assert.match(stderr, /is taken/);
  });

  it('is documented with each refusal and its sentence', () => {
    const docs = readFileSync(join(import.meta.dirname, '..', 'docs', 'fake-telegram.md'), 'utf8')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&');
    for (const { code, says, because, source } of citedRefusals())
      assert.ok(docs.includes(`| ${code} | ${says.replace('{}', '…')} | ${because} | ${source} |`), says);
  });
});
