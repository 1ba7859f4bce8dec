import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { interruptedRuns } from '../../recovery/run/status.ts';
import { type Command, identityFlag } from '../command.ts';
import { goOn } from '../go-on.ts';
import { requireFree } from '../start-run.ts';

/** gaia resume — finishes an interrupted run, or takes it back. */
export const resume: Command = {
  name: 'resume',
  summary: 'Finish a restore that was interrupted, or take it back',
  usage: '[--back] [--identity FILE]',
  words: [0, 0],
  flags: {
    back: { says: 'to the old state instead of the new one' },
    yes: { says: 'accepted for scripts; nothing is asked here' },
    ...identityFlag,
    here: { says: 'in this process instead of one that outlives a lost connection' },
  },
  details: [
    'Either way ends in one whole state. It may be interrupted and repeated itself. Several interrupted runs are dealt with one after the other, the oldest first.',
  ],
  example: 'gaia resume --back',
  exits: [
    '0 or 9 done',
    '5 nothing was interrupted',
    '6 it cannot go on, or another run works',
    '10 taken back because it failed',
  ],
  delivers: true,
  async run(call) {
    const { place } = call.config();
    requireFree(call);
    const runs = interruptedRuns(place);
    const [first, ...others] = runs;
    if (first === undefined)
      throw new Fault('not-found', 'No restore was interrupted.', { hint: 'How the last ones ended: gaia status' });
    const conclusion = await goOn(call, first, call.flags.back === true ? 'back' : 'forward');
    const more = others.length > 0 ? [`${others.length} more were interrupted: gaia resume again.`] : [];
    const exit = others.length > 0 && conclusion.exit === Exit.ok ? Exit.partial : conclusion.exit;
    return { ...conclusion, exit, notes: [...(conclusion.notes ?? []), ...more] };
  },
};
