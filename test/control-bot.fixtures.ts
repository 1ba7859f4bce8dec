import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { systemClock } from '../src/base/clock.ts';
import { makeLog } from '../src/base/log.ts';
import { codesHere } from '../src/bin/codes-here.ts';
import { allCapabilities } from '../src/capabilities/all-capabilities.ts';
import { runControlBot } from '../src/channels/telegram/control-bot.ts';
import { type PersonName, people } from '../src/channels/telegram/fake/world.ts';
import { openJournal } from '../src/channels/telegram/journal.ts';
import { personScopes, serviceScopes } from '../src/channels/telegram/scopes.ts';
import { usuallyTold } from '../src/channels/telegram/settings.ts';
import { smallFetch } from '../src/channels/telegram/small-fetch.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { sleepUnlessAborted } from '../src/client/patience.ts';
import type { Capability } from '../src/events/capability.ts';
import { secret } from '../src/events/secret.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { fakeBots, startFakeTelegram } from './fake-telegram.fixtures.ts';
import { tea, teaCapabilities } from './tea.fixtures.ts';

const names = { owner: 'olga', friend: 'bert', stranger: 'sam' } as const satisfies Record<PersonName, string>;

/** Fast enough for tests; Telegram's own are met in the tests of the outbox. */
const wide = { chatBurst: 1000, chatPerSecond: 1000, overallPerSecond: 1000, groupPerMinute: 1000 };

/** What a chat must not offer, because Telegram keeps what is written there. */
const whisper: Capability = {
  name: 'tea.whisper',
  summary: 'Tell the pot a secret',
  risk: 'write',
  input: z.strictObject({ word: secret(z.string()) }),
  output: z.object({}),
  example: { word: 'psst' },
};

/** What says when it is over: a test, or whoever measures. */
type Until = { after(end: () => unknown): void };

type Options = {
  bus?: BusProcess;
  /** What the bot waits for no longer than this. */
  longestSleepMs?: number;
  callSeconds?: number;
  pollSeconds?: number;
  tell?: readonly string[];
  /** Who is listed. */
  users?: readonly PersonName[];
  /** The same, where some of them have not written to the bot yet. */
  listed?: readonly PersonName[];
};

/** A bus, a Telegram, the control bot between them, and an agent TEA whose calls it can make. */
export async function startControlBot(
  t: Until,
  {
    callSeconds = 20,
    pollSeconds = 20,
    longestSleepMs = 60_000,
    tell = usuallyTold,
    users = ['owner'],
    listed = users,
    ...given
  }: Options = {},
) {
  const bus = given.bus ?? (await startBusProcess({}, t));
  const fake = await startFakeTelegram(t, { limits: wide });
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-telegram-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const client = makeClient({ url: bus.url });
  const clientOf = async (name: string, kind: 'person' | 'tool', scopes: string[]) =>
    makeClient({ url: bus.url, token: (await tokenFor(bus, { name, kind, scopes })).secret, fetcher: smallFetch });
  const person = await clientOf('olga', 'person', [...personScopes]);
  const service = await clientOf('TELEGRAM', 'tool', [...serviceScopes]);
  /** Somebody who needs no code: a person at the server. */
  const approver = await clientOf('anna', 'person', ['read', 'approve']);
  const brewing = await tea(t, client);
  let log = '';
  let aheadMs = 0;
  const clock = () => systemClock() + aheadMs;
  const start = async () => {
    const stop = new AbortController();
    const journal = openJournal(join(folder, 'bot.db'), systemClock);
    const ready = Promise.withResolvers<void>();
    const ended = runControlBot({
      token: fakeBots.control,
      apiRoot: fake.url,
      settings: { person: 'olga', users: listed.map((as) => ({ id: people[as].id, name: names[as] })), tell },
      person,
      personName: 'olga',
      service,
      codes: codesHere({ home: bus.home, env: { PATH: process.env.PATH }, signal: stop.signal }),
      capabilities: [...allCapabilities, ...teaCapabilities, whisper],
      journal,
      log: makeLog((line) => {
        log += line;
      }, systemClock),
      clock,
      signal: stop.signal,
      sleep: (ms, signal) => sleepUnlessAborted(Math.min(ms, longestSleepMs), signal),
      pace: wide,
      callSeconds,
      pollSeconds,
      onReady: () => ready.resolve(),
    }).finally(() => journal.close());
    ended.catch(() => undefined /* looked at where it is awaited */);
    await Promise.race([ready.promise, ended]);
    return {
      ended,
      journal,
      async stop() {
        stop.abort();
        await ended;
      },
    };
  };
  for (const as of users) fake.say('/start', { as });
  let running = await start();
  t.after(() => running.stop().catch(() => undefined /* a test has looked at it */));
  for (const as of users) await fake.eventually(() => fake.said({ as }).length > 0);
  return {
    bus,
    client,
    person,
    approver,
    /** The bot's journal. */
    file: join(folder, 'bot.db'),
    fake,
    did: brewing.did,
    log: () => log,
    /** The clock of the bot, and of nobody else. */
    later(ms: number) {
      aheadMs += ms;
    },
    running: () => running,
    async restart() {
      await running.stop();
      running = await start();
    },
  };
}

export type Stand = Awaited<ReturnType<typeof startControlBot>>;

/** A question on the bus, and the message that shows it. */
export async function asked({ client, fake }: Stand, question: string, more: Record<string, unknown> = {}) {
  const { id } = await publishQuestion(client, question, more);
  const message = await fake.eventually(() => fake.said().find(({ text }) => text.includes(question)));
  return { id, message: message.message_id };
}

const publishQuestion = (client: Client, question: string, more: Record<string, unknown>) =>
  client.publish({
    source_agent: 'HADES',
    action: 'shall_we',
    target: null,
    requires_human: true,
    human_question: question,
    human_options: ['yes', 'no'],
    ...more,
  });
