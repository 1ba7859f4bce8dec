import { Fault } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Door } from './door.ts';
import { usualUrl } from './find-bus.ts';

/** How a person at this machine starts the command line: by its name, or below npm in a checkout. */
export type ProgramName = 'leveredge' | 'npx leveredge';

/** A command of ours in a sentence: `leveredge` and a word after it, unless it says already how to start it. */
const commands = /(?<![\w/.-])(?<!npx )leveredge(?= (?:[a-z]|--))/g;

/** A text of ours, whose commands can be pasted into a shell here. Texts that come from elsewhere do not belong here. */
function asTyped(text: string, program: ProgramName): string {
  return text.replace(commands, program);
}

/** The same for the next step that a failure names, wherever that was written. */
export function hintAsTyped(thrown: unknown, program: ProgramName): unknown {
  if (!(thrown instanceof Fault) || thrown.hint === undefined) return thrown;
  const { code, message, hint, mistakes, extra, cause } = thrown;
  return new Fault(code, message, { hint: asTyped(hint, program), mistakes, extra, cause });
}

/** A command for another shell, which has neither this one's --url nor its environment. */
export function command(door: Door, words: string): string {
  const { program, url, urlIsGiven } = door;
  const home = door.findHome(door.home);
  // A home that was named has the token too, so it must be named again, also beside a URL.
  const isNamed = home.because === '--home' || home.because === 'LEVEREDGE_HOME';
  const leadsThere = isNamed && !urlIsGiven && door.recordedBus(door.databaseFile(home.dir))?.url === url;
  const at = (urlIsGiven || url !== usualUrl) && !leadsThere ? ` --url ${shellWord(url)}` : '';
  return `${program} ${words}${at}${isNamed ? ` --home ${shellWord(home.dir)}` : ''}`;
}
