import { Command, InvalidArgumentError } from 'commander';
import { Exit } from '../../base/exit.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { wholeOrNone } from './option-values.ts';

const usualPort = 8081;
const highestPort = 65_535;

/**
 * leveredge fake-telegram — runs a Telegram Bot API on this machine until Ctrl-C, with a page to play the people on. Exit 0
 * stopped, 6 the port is taken. --json: one line with url, bots and pid as soon as it listens; --quiet: the URL alone.
 */
export function fakeTelegram(concludes: Concluding): Command {
  return new Command('fake-telegram')
    .description('Try the bots without an account: a strict Telegram on this machine')
    .option('--port <n>', 'the port to listen on; 0 takes any free one', port, usualPort)
    .addHelpText(
      'after',
      '\nIt refuses what Telegram refuses, and its page says why. Nothing is kept.\nA bot talks to it with TELEGRAM_API_ROOT set to its URL.',
    )
    .action(concludes((door, options: { port: number }) => runFake(door, options.port)));
}

function port(text: string): number {
  const n = wholeOrNone(text);
  if (n > highestPort) throw new InvalidArgumentError(`A port is a number up to ${highestPort}.`);
  return n;
}

async function runFake({ print, json, quiet, signal, clock }: Door, at: number): Promise<Conclusion> {
  const { startFakeTelegram } = await import('../telegram/fake/start.ts');
  // Started anew it counts on: a bot that still runs would take lower numbers for old ones.
  const fake = await startFakeTelegram({ port: at, clock, firstUpdate: Math.floor(clock() / 1000) });
  const bots = fake.world.bots.map(({ name, token }) => ({ name, token }));
  if (json) await print(`${JSON.stringify({ url: fake.url, bots, pid: process.pid })}\n`);
  else if (quiet) await print(`${fake.url}\n`);
  else
    await print(
      [
        `A Telegram for this machine alone: open ${fake.url} and play the owner.`,
        `A bot finds it by TELEGRAM_API_ROOT=${fake.url}`,
        'Its bots, with tokens that are no secret:',
        ...bots.map(({ name, token }) => `  ${name.padEnd(9)}  ${token}`),
        'Nothing is kept. Ctrl-C stops it.',
        '',
      ].join('\n'),
    );
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await fake.close();
  return { exit: Exit.ok, notes: ['Stopped.'] };
}
