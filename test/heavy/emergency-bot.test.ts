import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { memoryIn } from '../../src/gaia/bot/memory.ts';
import { emergency, emergencyBot, owner } from '../emergency-bot.fixtures.ts';

const operation = '20261125T081500Z-7KQ4';

describe('the emergency bot', { timeout: 120_000 }, () => {
  it('hands the runner what the owner writes, and no word more', async (t) => {
    const { telegram, start, asked } = await emergencyBot(t);
    start();
    const lines = [
      ...['/start', '/status', '/list', '/list prod', '/restore prod', '/restore full', '/fullrestore', '/cancel'],
      ...[
        '/drill dev',
        '/backup prod',
        '/runbook PROD',
        '/restore@gaia_bot control-plane',
        '123456',
        '123 456',
        '7k2qx-m4dpa',
      ],
    ];
    for (const text of lines) telegram.say(text, emergency);
    const requests = await asked(lines.length);
    assert.ok(requests.every(({ user, sentMs }) => user === owner && Math.abs(Date.now() - Number(sentMs)) < 10_000));
    assert.deepEqual(
      requests
        .sort((a, b) => Number(String(a.id).slice(1)) - Number(String(b.id).slice(1)))
        .map(({ id, user, sentMs, ...ask }) => Object.values(ask)),
      [
        ...[['start'], ['status'], ['list', null], ['list', 'prod'], ['restore', 'prod'], ['restore', 'full']],
        ...[
          ['restore', 'full'],
          ['cancel', null],
          ['drill', 'dev'],
          ['backup', 'prod'],
          ['runbook', 'prod'],
        ],
        ...[
          ['restore', 'control-plane'],
          ['confirm', null, '123456'],
          ['confirm', null, '123456'],
        ],
        ...[['confirm', null, '7k2qx-m4dpa']],
      ],
    );
  });

  it('is silent to strangers, groups, forwarded, edited and unknown things, and logs a stranger once', async (t) => {
    const { telegram, start, asked, log, heard } = await emergencyBot(t);
    start();
    for (let n = 0; n < 3; n++) telegram.say('/restore full', { ...emergency, as: 'stranger' });
    telegram.say('/restore full', { ...emergency, where: 'group' });
    telegram.say('/restore full', { ...emergency, as: 'stranger', where: 'group' });
    telegram.forward('/restore full', 'stranger', emergency);
    const written = telegram.say('/status', emergency);
    await asked(1);
    telegram.edit(written, '/restore full', emergency);
    telegram.say('/restore', emergency);
    telegram.say('/restore prod now', emergency);
    telegram.say('/restore prod.', emergency);
    telegram.say('rm -rf /', emergency);
    await heard(/Which one\? \/restore prod/);
    await heard(/one word more than I understand/);
    await heard(/No target is called so\. \/list/);
    await heard(/^I do not understand that\..* \/start says what there is\.$/);
    assert.deepEqual(
      (await asked(1)).map(({ verb }) => verb),
      ['status'],
    );
    for (const who of [{ as: 'stranger' }, { where: 'group' }] as const)
      assert.deepEqual(telegram.said({ ...emergency, ...who }), []);
    assert.equal(log.filter((line) => line.includes('not listed')).length, 1);
  });

  it('shows what the runner says, in its order, escaped, and in pieces that Telegram takes', async (t) => {
    const { telegram, start, replies, heard } = await emergencyBot(t, { limits: { chatBurst: 100 } });
    telegram.say('/start', emergency);
    const { end } = start();
    await pause(400);
    replies.say({ to: owner, title: 'A <b> & c', lines: ['1 < 2 &amp; </b><script>'] });
    const script = Array.from({ length: 400 }, (_, n) => `echo "line ${n}" > /dev/null && true # 🚒`).join('\n');
    replies.say({ to: owner, title: 'By hand', lines: [], script });
    replies.say({ to: owner, lines: ['the last'] });
    await heard('the last');
    await end();
    const [first, title, ...rest] = telegram.said(emergency).map(({ text }) => text);
    assert.equal(first, 'A <b> & c\n1 < 2 &amp; </b><script>');
    assert.equal(title, 'By hand');
    assert.equal(rest.slice(0, -1).join('\n'), script);
    assert.ok(rest.length > 4 && rest.every((text) => text.length <= 4096));
    assert.deepEqual(
      telegram.refused().filter(({ bot }) => bot === 'emergency'),
      [],
    );
  });

  it('changes one message in its place, hands a tap on, and says for which operation a code is', async (t) => {
    const { telegram, start, replies, heard, asked, requests } = await emergencyBot(t);
    telegram.say('/start', emergency);
    start();
    await asked(1);
    const buttons = [{ text: 'Stop', data: `cancel:${operation}` }];
    replies.say({ to: owner, key: operation, operation, title: 'Restore prod?', lines: ['Send the code'], buttons });
    const { message_id } = await heard(/Restore prod/);
    telegram.say('123456', emergency);
    await asked(2);
    assert.deepEqual([requests()[1]?.operation, requests()[1]?.code], [operation, '123456']);
    telegram.tap(message_id, 'Stop', emergency);
    await asked(3);
    assert.deepEqual([requests()[2]?.verb, requests()[2]?.operation], ['cancel', operation]);
    replies.progress(operation, { to: owner, key: operation, title: 'It runs', lines: ['10 %'], buttons });
    await heard('It runs\n10 %');
    replies.progress(operation, { to: owner, key: operation, title: 'Over', lines: [], buttons: [] });
    const over = await heard('Over');
    assert.equal(over.message_id, message_id);
    assert.deepEqual(over.buttons, []);
    // A button that somebody still has on an old screen.
    telegram.tap(message_id, { data: `cancel:${operation}` }, emergency);
    telegram.tap(message_id, { data: 'restore:full' }, emergency);
    await asked(4);
    assert.equal(telegram.said(emergency).length, 1);
    await telegram.eventually(() => telegram.chat(emergency).taps.filter(({ answer }) => answer !== null).length === 2);
  });

  it('lives through 429, trouble of Telegram, silence and broken connections, and loses nothing', async (t) => {
    const { telegram, start, replies, heard, asked, log } = await emergencyBot(t);
    telegram.say('/start', emergency);
    start();
    await asked(1);
    for (const kind of ['429', '500', 'cut', 'cut-after'] as const)
      telegram.trouble(kind, { ...emergency, method: 'sendMessage' });
    telegram.trouble('500', { ...emergency, method: 'getUpdates', times: 2 });
    telegram.trouble('cut', { ...emergency, method: 'getUpdates' });
    for (const text of ['one', 'two', 'three']) replies.say({ to: owner, lines: [text] });
    telegram.say('/status', emergency);
    for (const text of ['one', 'two', 'three']) await heard(text);
    await asked(2);
    const said = telegram.said(emergency).map(({ text }) => text);
    // The connection broke after one of them had been taken: that one alone may be there twice.
    assert.deepEqual([...new Set(said)], ['one', 'two', 'three']);
    assert.ok(said.length <= 4, said.join());
    assert.ok(
      log.every((line) => !line.includes('FAKE_emergency')),
      log.join(),
    );
  });

  it('goes on where it was when it was ended: nothing twice, and an update that comes again is one request', async (t) => {
    const { telegram, start, replies, heard, asked, requests, spool } = await emergencyBot(t);
    telegram.say('/backup prod', emergency);
    const first = start();
    const [request] = await asked(1);
    replies.say({ to: owner, lines: ['said before'] });
    await heard('said before');
    await first.end();
    rmSync(join(spool.requests, `${request?.id}.json`));
    replies.say({ to: owner, lines: ['said meanwhile'] });
    telegram.say('/status', emergency);
    const second = start();
    await heard('said meanwhile');
    await telegram.eventually(() => requests().some(({ verb }) => verb === 'status'));
    await second.end();
    assert.deepEqual(
      telegram.said(emergency).map(({ text }) => text),
      ['said before', 'said meanwhile'],
    );
    assert.equal(requests().length, 1);
    // All that it remembers is lost, and Telegram tells again what it knows.
    rmSync(join(spool.memory, 'memory.json'));
    telegram.repeat(2, 'emergency');
    start();
    const again = await asked(2);
    // The runner knows it by that; and nothing is told twice.
    assert.ok(again.some(({ id, verb }) => id === request?.id && verb === 'backup'));
    await pause(700);
    assert.equal(telegram.said(emergency).length, 2);
  });

  it('tells the owner that another program polls with its token, once, and goes on', async (t) => {
    const { telegram, start, heard, log, asked } = await emergencyBot(t);
    telegram.say('/start', emergency);
    start();
    await asked(1);
    telegram.trouble('409', { ...emergency, method: 'getUpdates', times: 2 });
    telegram.say('/status', emergency);
    await heard(/with the token of this bot[\s\S]*may be stolen: revoke it with @BotFather/);
    assert.equal(telegram.said(emergency).length, 1);
    assert.ok(log.some((line) => line.includes('it may be stolen')));
  });

  it('ends when its token is revoked, and says neither old nor new one', async (t) => {
    const { telegram, start, asked, log, token } = await emergencyBot(t);
    telegram.say('/start', emergency);
    const { ends } = start();
    await asked(1);
    telegram.revoke(true, 'emergency');
    await assert.rejects(
      ends,
      (error: Error) => /does not know the token/.test(error.message) && !error.message.includes(token),
    );
    assert.ok(!log.join().includes(token.slice(8)));
  });

  it('says that nobody takes what was asked, where the runner is dead', async (t) => {
    const { telegram, start, asked, heard, later } = await emergencyBot(t);
    start();
    telegram.say('/restore full', emergency);
    await asked(1);
    later(20_000);
    await heard(/the runner on the server does not run/);
    await pause(700);
    assert.equal(telegram.said(emergency).length, 1);
  });

  it('does not stop for one who has blocked it', async (t) => {
    const { telegram, start, replies, asked, spool } = await emergencyBot(t);
    telegram.say('/start', emergency);
    start();
    await asked(1);
    telegram.block(true, emergency);
    replies.say({ to: owner, lines: ['not to be sent'] });
    await telegram.eventually(() => memoryIn(spool.memory).now.sent.length === 1);
    telegram.say('/status', emergency);
    replies.say({ to: owner, lines: ['again'] });
    await telegram.eventually(() => telegram.said(emergency).some(({ text }) => text === 'again'));
    assert.ok(!readFileSync(join(spool.memory, 'memory.json'), 'utf8').includes('FAKE'));
  });

  it('shows the next person the Stop button when it could not be shown to one who has blocked it', async (t) => {
    const { telegram, start, replies, log } = await emergencyBot(t);
    telegram.say('/start', emergency);
    start();
    const shown = (key: string) =>
      replies.progress(key, { to: owner, key, title: key, lines: ['runs'], buttons: [{ text: 'Stop', data: 'x' }] });
    telegram.block(true, emergency);
    shown('first');
    await telegram.eventually(() => log.some((line) => line.includes('a message was refused')));
    telegram.block(false, emergency);
    shown('second');
    await telegram.eventually(() => telegram.said(emergency).some(({ text }) => text.startsWith('second')));
  });

  it('takes a code out of the chat once it is handed on, and lives with it where that is refused', async (t) => {
    const { telegram, start, asked, requests } = await emergencyBot(t);
    start();
    telegram.say('/status', emergency);
    for (const text of ['123456', '7k2qx-m4dpa']) telegram.say(text, emergency);
    const left = () => telegram.chat(emergency).messages.map(({ text }) => text);
    await telegram.eventually(() => left().join() === '/status');
    telegram.trouble('500', { ...emergency, method: 'deleteMessage' });
    telegram.say('654321', emergency);
    telegram.say('/list', emergency);
    await asked(5);
    assert.ok(requests().some(({ code }) => code === '654321'));
    assert.deepEqual(left(), ['/status', '654321', '/list']);
  });

  it('takes no sentence for a backup code', async (t) => {
    const { telegram, start, asked, heard, requests } = await emergencyBot(t);
    start();
    telegram.say('restore dev', emergency);
    await heard(/What you ask begins with a slash, as \/restore prod/);
    assert.deepEqual(requests(), []);
    for (const text of ['7k2qx m4dpa', '7K2QXM4DPA']) telegram.say(text, emergency);
    assert.ok((await asked(2)).every(({ verb }) => verb === 'confirm'));
  });
});
