import { setFlagsFromString } from 'node:v8';
import { systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import { makeLog, printable } from '../base/log.ts';
import { ownersTokenIn } from '../bus/owners-token.ts';
import { allCapabilities } from '../capabilities/all-capabilities.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import { runControlBot } from '../channels/telegram/control-bot.ts';
import { openJournal } from '../channels/telegram/journal.ts';
import { onlyOne } from '../channels/telegram/only-one.ts';
import { telegramPlaces } from '../channels/telegram/places.ts';
import { smallFetch } from '../channels/telegram/small-fetch.ts';
import { makeClient } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import type { Env } from './bus-settings.ts';
import { codesHere } from './codes-here.ts';
import { telegramFiles, tokenIn } from './telegram-files.ts';

type Running = {
  home: string;
  url: string;
  botTokenFile?: string | undefined;
  env: Env;
  signal: AbortSignal;
  json: boolean;
  quiet: boolean;
  /** Beside others in one process: what it says at its start is one line. */
  among?: boolean;
};

/** Runs the control bot until the signal. @throws Fault */
export async function runTelegramBot(running: Running): Promise<Conclusion> {
  const { home, url, env, signal, botTokenFile, among } = running;
  // It waits nearly all the time, for years, on small servers: room for garbage is not worth its memory.
  if (!among) for (const flag of ['--semi-space-growth-factor=1', '--optimize-for-size']) setFlagsFromString(flag);
  const files = telegramFiles(home, env);
  const settings = files.settings();
  const token = env.TELEGRAM_CONTROL_BOT_TOKEN || files.botToken(botTokenFile);
  if (settings === undefined || token === undefined)
    throw new Fault('not-found', 'The control bot is not set up yet.', { hint: 'Set it up: leveredge telegram setup' });
  const person = files.personToken() ?? tokenIn(ownersTokenIn(home));
  const letGo = onlyOne(telegramPlaces(home).journal);
  const journal = openJournal(telegramPlaces(home).journal, systemClock);
  try {
    await runControlBot({
      token,
      apiRoot: env.TELEGRAM_API_ROOT || undefined,
      settings,
      person: makeClient({ url, token: person, fetcher: smallFetch }),
      personName: settings.person,
      service: makeClient({ url, token: files.serviceToken() ?? person, fetcher: smallFetch }),
      capabilities: allCapabilities,
      codes: codesHere({ home, env, signal }),
      journal,
      log: makeLog((line) => process.stderr.write(line), systemClock),
      clock: systemClock,
      signal,
      sleep: sleepUnlessAborted,
      onReady: (username) => process.stdout.write(started(username, running)),
    });
  } finally {
    journal.close();
    letGo();
  }
  return { exit: Exit.ok, notes: ['Stopped. What was not sent yet goes out at the next start.'] };
}

/** It runs on after it has said this, so it is no conclusion but goes out at once. */
function started(bot: string, { url, json, quiet, among }: Running): string {
  if (json) return `${JSON.stringify({ bot, bus: url, pid: process.pid })}\n`;
  if (quiet) return '';
  if (among) return `The control bot @${printable(bot)} listens on Telegram\n`;
  return `@${printable(bot)} listens on Telegram, for the bus at ${url}\nCtrl-C stops it.\n`;
}
