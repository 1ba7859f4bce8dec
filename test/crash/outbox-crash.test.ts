import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { people } from '../../src/channels/telegram/fake/world.ts';
import { openJournal } from '../../src/channels/telegram/journal.ts';
import { startFakeTelegram } from '../fake-telegram.fixtures.ts';
import { outboxProgram } from './outbox-process.ts';

const messages = 1000;
const kills = 12;

describe('the outbox of the control bot', { timeout: 180_000 }, () => {
  it(`loses none of ${messages} messages under 429s and kill -9, and repeats at most one for each kill`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'leveredge-outbox-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'bot.db');
    const fake = await startFakeTelegram(t, {
      limits: { chatBurst: 50, chatPerSecond: 90, overallPerSecond: 300, groupPerMinute: 20 },
    });
    fake.say('/start');
    const journal = openJournal(file, systemClock);
    for (let n = 0; n < messages; n++)
      journal.say({ id: `message ${n}`, chat: people.owner.id, shown: { html: `message ${n}`, keys: [] } });
    journal.close();
    for (let kill = 0; kill < kills; kill++) {
      const child = await sending(t, file, fake.url);
      await pause(150 + Math.random() * 600);
      child.kill('SIGKILL');
      await child.ended;
    }
    const early = fake.said().length;
    await sending(t, file, fake.url);
    await fake.eventually(() => fake.said().some(({ text }) => text === `message ${messages - 1}`), 'the last message');
    const said = fake.said().map(({ text }) => text);
    const distinct = new Set(said);
    assert.equal(distinct.size, messages);
    assert.ok(said.length - distinct.size <= kills, `${said.length - distinct.size} were repeated`);
    const floods = fake.refused().filter(({ refusal }) => refusal === 'chat-flooded').length;
    assert.ok(floods > 0, 'it was never told to wait');
    t.diagnostic(`${early} sent before the last start, ${said.length - distinct.size} repeated, ${floods} times 429`);
    // In order, but for what was sent again.
    assert.deepEqual(
      [...distinct],
      Array.from({ length: messages }, (_, n) => `message ${n}`),
    );
  });
});

async function sending(t: TestContext, file: string, url: string) {
  const child = spawn(process.execPath, [outboxProgram, file, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  return Object.assign(child, { ended });
}
