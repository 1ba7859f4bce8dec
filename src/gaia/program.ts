import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Fault } from '../base/fault.ts';
import { nearest } from '../base/nearest.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import type { Around, Call, Command, Conclusion } from './command.ts';
import { commands } from './commands.ts';
import { helpOf, overview, sharedFlags } from './help.ts';
import { interruptedLines } from './interrupted.ts';
import { progressLine } from './progress-line.ts';
import { type Look, type Rendered, remarkAsJson, render, renderFault } from './render.ts';
import { deliverWaiting } from './tell-bus.ts';

/** Runs one command line and says what to print. Never throws. */
export async function run(argv: readonly string[], around: Around): Promise<Rendered> {
  const look = lookOf(argv, around);
  try {
    return render(await conclude(argv, around, look), look);
  } catch (error) {
    return renderFault(error, look);
  } finally {
    around.sketch('');
  }
}

function lookOf(argv: readonly string[], { terminal, color }: Around): Look {
  const has = (...names: string[]) => argv.some((word) => names.includes(word));
  return {
    json: has('--json'),
    quiet: has('--quiet', '-q'),
    out: terminal.out,
    err: terminal.err,
    columns: terminal.columns,
    color,
  };
}

async function conclude(argv: readonly string[], around: Around, look: Look): Promise<Conclusion> {
  const at = argv.findIndex((word, n) => !word.startsWith('-') && !takesTheNext(argv[n - 1]));
  const [name, rest] = at < 0 ? [undefined, argv] : [argv[at], [...argv.slice(0, at), ...argv.slice(at + 1)]];
  if (argv.includes('--version') || name === 'version')
    return { exit: 0, lines: [around.version], json: { version: around.version } };
  if (name === 'help') return helpFor(rest.find((word) => !word.startsWith('-')));
  if (name === undefined) {
    const asksForHelp = argv.length === 0 || argv.includes('--help') || argv.includes('-h');
    if (!asksForHelp)
      throw new Fault('usage', `No command is given, only ${argv.join(' ')}.`, { hint: 'See: gaia help' });
    return { exit: 0, raw: overview() };
  }
  const command = find(name);
  if (rest.includes('--help') || rest.includes('-h')) return { exit: 0, raw: helpOf(command) };
  const { flags, words } = parse(command, rest);
  let config: RecoveryConfig | undefined;
  const call: Call = {
    around: look.json
      ? { ...around, say: (line) => around.say(line.startsWith('{') ? line : remarkAsJson(line)) }
      : around,
    words,
    flags,
    json: look.json,
    progress: progressLine(around, look),
    config() {
      if (config !== undefined) return config;
      config = withIdentity(readConfig((flags.config as string | undefined) ?? around.configFile, around.home), flags);
      if (!look.quiet && !look.json && command.isApart !== true) for (const note of config.notes) around.say(note);
      if (!look.quiet) for (const line of interruptedLines(name, call)) around.say(line);
      return config;
    },
  };
  if (command.delivers !== true) return command.run(call);
  let delivered: boolean | undefined;
  try {
    const conclusion = await command.run(call);
    delivered = conclusion.delivered;
    return conclusion;
  } finally {
    if (config !== undefined && delivered !== true) await deliverWaiting(config, around);
  }
}

/** The key that the owner has brought, in the place of the machine's own. @throws Fault `not-found` */
function withIdentity(config: RecoveryConfig, { identity }: Call['flags']): RecoveryConfig {
  if (typeof identity !== 'string') return config;
  const file = resolve(identity);
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new Fault('not-found', `There is no key at ${file}.`);
  // It is read again by the process that does the work.
  if (!found.isFile()) throw new Fault('usage', `${file} is no file that could be read more than once.`);
  return { ...config, place: { ...config.place, brought: file } };
}

/** `gaia --config FILE list`: what follows is no command. */
function takesTheNext(word: string | undefined): boolean {
  return word?.startsWith('--') === true && sharedFlags[word.slice(2)]?.value !== undefined;
}

function helpFor(name: string | undefined): Conclusion {
  return { exit: 0, raw: name === undefined ? overview() : helpOf(find(name)) };
}

function find(name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (command !== undefined) return command;
  const guess = nearest(
    name,
    commands.filter(({ hidden }) => !hidden).map((each) => each.name),
  );
  throw new Fault('usage', `There is no command ${name}.`, {
    hint: guess ? `Did you mean gaia ${guess}?` : 'See: gaia help',
  });
}

function parse(
  { name, flags, words: [least, most], usage }: Command,
  argv: readonly string[],
): Pick<Call, 'flags' | 'words'> {
  const known = { ...flags, ...sharedFlags };
  const options = Object.fromEntries(
    Object.entries(known).map(([flag, { value }]) => [
      flag,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(flag === 'quiet' ? { short: 'q' } : {}),
      },
    ]),
  );
  const line = `gaia ${name}${usage === '' ? '' : ` ${usage}`}`;
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw wrongFlag(error, Object.keys(known), line);
  }
  const { positionals } = parsed;
  if (positionals.length < least)
    throw new Fault('usage', `gaia ${name} needs more words.`, { hint: `Usage: ${line}` });
  if (positionals.length > most)
    throw new Fault('usage', `gaia ${name} takes no ${JSON.stringify(positionals[most])}.`, { hint: `Usage: ${line}` });
  return { flags: parsed.values as Call['flags'], words: positionals };
}

function wrongFlag(error: unknown, known: readonly string[], line: string): Fault {
  const text = error instanceof Error ? error.message : String(error);
  const flag = /'(-[^' ]*)/.exec(text)?.[1];
  if (flag === undefined) return new Fault('usage', text, { hint: `Usage: ${line}` });
  const name = flag.replace(/^-+/, '').replace(/=.*$/, '');
  if (known.includes(name))
    return new Fault('usage', `${flag} needs a value, or takes none.`, { hint: `Usage: ${line}` });
  const guess = nearest(name, known);
  return new Fault('usage', `There is no option ${flag} here.`, {
    hint: `${guess ? `Did you mean --${guess}? ` : ''}Usage: ${line}`,
  });
}
