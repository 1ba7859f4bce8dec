import { Fault } from '../base/fault.ts';
import type { Call } from './command.ts';

/**
 * Has a person type a phrase exactly, after they were shown what will happen. `--yes` skips it.
 * @throws Fault `usage` without a terminal and without `--yes`; `interrupted` as a Fault of that kind when it is not typed
 */
export async function confirm({ around, flags }: Call, phrase: string, shown: readonly string[]): Promise<boolean> {
  if (flags.yes === true) return true;
  if (!around.terminal.in || !around.terminal.err)
    throw new Fault('usage', 'Without a terminal nobody can confirm this, and nothing was done.', {
      hint: 'Look at the plan first (gaia plan), then say --yes.',
    });
  for (const line of shown) around.say(line);
  const answer = await around.ask(`Type ${phrase} to go on: `);
  return answer === phrase;
}
