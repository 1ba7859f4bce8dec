import { Fault } from '../base/fault.ts';

/** Characters of one word: the longest id of an event, and a bit more. */
const maxWord = 256;
/** The name of a target, a backup, a run, or the hash of a plan: never a path, and never an option. */
const name = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
/** The id of an event, which may be any text. */
const anyText = /^[^-\p{Cc}][^\p{Cc}]*$/u;
/** One target: of `full` no plan is held against what is done, and no cause says that it was done. */
const oneTarget = /^(?!full$)[A-Za-z0-9][A-Za-z0-9._-]*$/;
const reason = /^(manual|pre-change|scheduled)$/;

/**
 * Has the bus' own database copied, as the user whose it is. No command of GAIA, who knows nothing of the bus: the program that
 * answers agents starts another one for it (`src/bin/gaia.ts`).
 */
export const copyBusWord = 'copy-bus';

type Asked = { words?: readonly RegExp[]; flags?: Readonly<Record<string, RegExp | true>> };

/** Everything that agents may ask of GAIA. What is not here is refused, whoever asks. */
const mayBeAsked: Readonly<Record<string, Asked>> = {
  list: { flags: { target: name } },
  status: {},
  doctor: {},
  deliver: {},
  [copyBusWord]: {},
  plan: { words: [name], flags: { backup: name } },
  verify: { words: [name], flags: { target: name, cause: anyText } },
  backup: { words: [name], flags: { reason, cause: anyText, only: /^(db|files)$/ } },
  drill: { words: [name], flags: { backup: name, cause: anyText } },
  prune: { flags: { target: name, cause: anyText, 'dry-run': true, yes: true } },
  restore: { words: [oneTarget], flags: { backup: name, plan: name, cause: anyText, yes: true } },
  undo: { words: [name], flags: { run: name, cause: anyText, yes: true } },
};
const always: Readonly<Record<string, RegExp | true>> = { json: true, quiet: true };

/**
 * The words of a call of GAIA, where an agent may make this one: a command of the list, with names for targets, backups and
 * runs, and no option that leads to another file.
 * @throws Fault `forbidden`
 */
export function requireAsked(asked: unknown): string[] {
  if (!Array.isArray(asked) || !asked.every((word): word is string => typeof word === 'string'))
    throw refused('what is no list of words');
  const [command = '', ...rest] = asked;
  const allowed = Object.hasOwn(mayBeAsked, command) ? mayBeAsked[command] : undefined;
  if (allowed === undefined) throw refused(`gaia ${command}`);
  const { words = [], flags = {} } = allowed;
  const known = new Map(Object.entries({ ...always, ...flags }));
  const left = [...words];
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] as string;
    const takes = word.startsWith('--') ? known.get(word.slice(2)) : left.shift();
    if (takes === undefined) throw refused(`${JSON.stringify(word.slice(0, maxWord))} in gaia ${command}`);
    if (takes === true) continue;
    const value = word.startsWith('--') ? rest[++at] : word;
    if (value === undefined || value.length > maxWord || !takes.test(value))
      throw refused(`${JSON.stringify(value?.slice(0, maxWord) ?? '')} in gaia ${command}`);
  }
  if (left.length > 0) throw refused(`gaia ${command} without a name`);
  return [command, ...rest];
}

function refused(what: string): Fault {
  return new Fault('forbidden', `GAIA does not do this for an agent: ${what}.`, {
    hint: 'A person may do it: sudo gaia …',
  });
}
