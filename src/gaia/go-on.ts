import { existsSync } from 'node:fs';
import { Fault } from '../base/fault.ts';
import { rewriteRequest } from '../recovery/run/run-folder.ts';
import type { RunState } from '../recovery/run/status.ts';
import type { Call, Conclusion } from './command.ts';
import { carryOut } from './start-run.ts';

/** Goes on with an interrupted run, and watches it. @throws Fault `not-found` when the key that it needs is not there */
export async function goOn(call: Call, run: RunState, direction: 'forward' | 'back'): Promise<Conclusion> {
  if (direction === 'forward') requireKey(run, call.config().place.brought);
  return carryOut(call, run.folder, direction);
}

/**
 * A restore that was begun with a key from a stick needs it to go on: said before anything is tried. Another place of the key is
 * written into its request.
 */
function requireKey({ folder, request }: RunState, brought: string | undefined): void {
  if (brought !== undefined) rewriteRequest(folder, { ...request, place: { ...request.place, brought } });
  else if (request.place.brought !== undefined && !existsSync(request.place.brought))
    throw new Fault('not-found', `The key that this restore was begun with, ${request.place.brought}, is not there.`, {
      hint: 'Bring it back to that place, or name another: gaia resume --identity FILE. For the old state no key is needed: gaia resume --back',
    });
}
