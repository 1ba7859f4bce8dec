import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { printable } from '../../base/log.ts';
import type { FollowOptions } from '../../client/follow.ts';
import type { Event } from '../../events/event.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { eventCells, eventLine } from './event-line.ts';
import { wholeNumber } from './option-values.ts';

type Options = { source?: string; agent?: string; fromStart?: boolean; after?: string; last?: number };

/**
 * leveredge tail — shows what happens as it happens, and connects again by itself. Exit 0 after Ctrl-C or when nobody
 * reads any more, 4 no bus at the start, 6 when the log was put back and --after or what was seen means nothing now.
 * --json: one event a line.
 */
export function tail(concludes: Concluding): Command {
  return new Command('tail')
    .description('Show events as they happen, until Ctrl-C')
    .argument('[pattern]', 'only actions that fit, such as "*_failed"; * stands for anything')
    .option('-s, --source <agent>', 'only what this agent published')
    .option('--agent <agent>', 'only what this agent hears')
    .option('-n, --last <n>', 'begin with the last so many, up to 1000', wholeNumber)
    .option('--from-start', 'begin with the oldest')
    .option('--after <bookmark>', 'begin after this bookmark')
    .action(concludes((door, pattern: string | undefined, options: Options) => show(door, pattern, options)));
}

async function show(door: Door, pattern: string | undefined, options: Options): Promise<Conclusion> {
  const { client, signal, say, terminal, url } = door;
  requireOneBeginning(options);
  let isBroken = false;
  const following: FollowOptions = {
    action: pattern,
    source_agent: options.source,
    agent: options.agent,
    last: options.last,
    fromStart: options.fromStart,
    after: options.after,
    signal,
    // Whoever looks at a screen wants to know at once that there is no bus.
    patienceMs: 0,
    onConnected() {
      if (isBroken) say('Connected again.');
      else if (terminal.is) say(`Following ${url}; Ctrl-C ends it.`);
      isBroken = false;
    },
    onTrouble({ message }) {
      if (!isBroken) say(`${message} Connecting again.`);
      isBroken = true;
    },
  };
  try {
    for await (const event of client.follow(following)) await door.print(`${lineOf(door, event)}\n`);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return { exit: Exit.ok };
}

function lineOf({ json, terminal, color, clock }: Door, event: Event): string {
  if (json) return printable(JSON.stringify(event));
  return terminal.is ? eventLine(event, { columns: terminal.columns, color, nowMs: clock() }) : eventCells(event);
}

function requireOneBeginning({ fromStart, after, last }: Options): void {
  const given = [fromStart && '--from-start', after !== undefined && '--after', last !== undefined && '--last'];
  const [first, second] = given.filter(Boolean);
  if (second)
    throw new Fault('usage', `${first} and ${second} name two places to begin.`, { hint: 'Give one of them.' });
}
