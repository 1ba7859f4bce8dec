import type { Command, Flag } from './command.ts';
import { commands } from './commands.ts';

const columns = 80;
/** Flags that every command has. */
export const sharedFlags: Readonly<Record<string, Flag>> = {
  config: { value: 'FILE', says: 'the configuration; else GAIA_CONFIG, else gaia/config.yaml of the home' },
  json: { says: 'one JSON document on stdout; progress and remarks as JSON lines on stderr' },
  quiet: { says: 'no remarks and no progress' },
  help: { says: 'this text' },
};

/** All commands, a line each. */
export function overview(): string {
  const shown = commands.filter(({ hidden }) => !hidden);
  const width = Math.max(...shown.map(({ name }) => name.length));
  return [
    'GAIA lists, verifies and restores backups. It needs nothing but this file: no',
    'database, no containers, no network.',
    '',
    'The worst day:  gaia list, then gaia restore TARGET. Nothing is removed: what is',
    'there now is put aside, and gaia undo TARGET brings it back.',
    '',
    ...shown.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'gaia help COMMAND says more, with an example.',
    'Exit codes: 0 ok, 1 failed, 2 usage, 3 not allowed, 4 unreachable, 5 not found,',
    '6 conflict or locked, 7 damaged, 9 done in part or not proven healthy, 10 rolled',
    'back (the old state is there), 130 interrupted.',
    '',
  ].join('\n');
}

/** One command: what it does, its options, an example, its exit codes. */
export function helpOf({ name, summary, usage, flags, details, example, exits }: Command): string {
  const all = Object.entries({ ...flags, ...sharedFlags }).map(
    ([flag, { value, says }]) => [`--${flag}${value ? ` ${value}` : ''}`, says] as const,
  );
  const width = Math.max(...all.map(([flag]) => flag.length));
  return [
    `gaia ${name} ${usage}`.trim(),
    '',
    ...wrapped(`${summary}.`, ''),
    ...(details.length > 0 ? ['', ...details.flatMap((line) => wrapped(line, ''))] : []),
    '',
    ...all.flatMap(([flag, says]) =>
      wrapped(says, ' '.repeat(width + 4)).map((line, n) =>
        n === 0 ? `  ${flag.padEnd(width)}  ${line.trimStart()}` : line,
      ),
    ),
    '',
    'Example:',
    `  ${example}`,
    '',
    ...wrapped(`Exit codes: ${exits.join(', ')}.`, ''),
    '',
  ].join('\n');
}

function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > columns && line.trim() !== '') {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  return [...lines, line];
}
