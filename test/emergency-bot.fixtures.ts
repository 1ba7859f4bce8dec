import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeLog } from '../src/base/log.ts';
import { telegramApi } from '../src/gaia/bot/api.ts';
import { deliver } from '../src/gaia/bot/deliver.ts';
import { memoryIn } from '../src/gaia/bot/memory.ts';
import { poll } from '../src/gaia/bot/poll.ts';
import { repliesIn } from '../src/gaia/emergency/replies.ts';
import { makeSpool, spoolIn } from '../src/gaia/emergency/spool.ts';
import { startFakeTelegram } from './fake-telegram.fixtures.ts';

/** The owner that the fake Telegram plays. */
export const owner = 5_550_001;
export const emergency = { bot: 'emergency' } as const;

/** A strict Telegram, a spool, and the bot between them in this process; the test plays the owner and the runner. */
export async function emergencyBot(t: TestContext, options: Parameters<typeof startFakeTelegram>[1] = {}) {
  const telegram = await startFakeTelegram(t, options);
  const folder = mkdtempSync(join(tmpdir(), 'bot-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const spool = spoolIn(join(folder, 'spool'));
  mkdirSync(spool.folder);
  makeSpool(spool, 1);
  const replies = repliesIn(spool, Date.now);
  const log: string[] = [];
  const token = telegram.tokenOf('emergency');
  let shiftMs = 0;
  const start = (at = token) => {
    const stop = new AbortController();
    const { signal } = stop;
    t.after(() => stop.abort());
    const clock = () => Date.now() + shiftMs;
    const deps = {
      ...{ api: telegramApi(telegram.url, at), spool, memory: memoryIn(spool.memory), clock, signal },
      ...{ users: new Set([owner]), log: makeLog((line) => void log.push(line), Date.now), pause: () => undefined },
    };
    const ends = Promise.all([poll(deps), deliver(deps)].map((each) => each.finally(() => stop.abort())));
    // Of a test that does not wait for its end, the end is nothing to fail for.
    void ends.catch((error: unknown) => log.push(String(error)));
    const end = async () => {
      stop.abort();
      await ends;
    };
    return { ends, end };
  };
  const requests = () =>
    readdirSync(spool.requests)
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => JSON.parse(readFileSync(join(spool.requests, name), 'utf8')) as Record<string, unknown>);
  return {
    ...{ telegram, spool, replies, log, token, start, requests, folder },
    later: (ms: number) => {
      shiftMs += ms;
    },
    asked: (count: number) => telegram.eventually(() => requests().length === count && requests(), `${count} requests`),
    heard: (text: string | RegExp) =>
      telegram.eventually(
        () =>
          telegram
            .said(emergency)
            .find((message) => (typeof text === 'string' ? message.text === text : text.test(message.text))),
        `hears ${text}`,
      ),
  };
}
