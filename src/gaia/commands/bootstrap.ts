import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { pathOf } from '../../recovery/archive/file-list.ts';
import { knownKey } from '../../recovery/archive/sign.ts';
import { findBackup } from '../../recovery/catalog/catalog.ts';
import type { MachineFacts } from '../../recovery/machine/facts.ts';
import { type MachinePlan, parseMachineFacts, planMachine } from '../../recovery/machine/recreate.ts';
import { openBackup, openerOf } from '../../recovery/restore/open-backup.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import type { Target } from '../../recovery/target.ts';
import { type Call, type Command, type Conclusion, identityFlag } from '../command.ts';
import { targetsNamed } from '../targets.ts';

const member = 'recipe/machine.json';

/** gaia bootstrap — makes what a target needs of a machine and lies in none of its folders: users, units, crontabs. */
export const bootstrap: Command = {
  name: 'bootstrap',
  summary: 'Make users, units and crontabs that are missing here',
  usage: 'TARGET|full [--backup B] [--dry-run]',
  words: [1, 1],
  flags: {
    backup: { value: 'B', says: 'a name, the beginning of one, or a path; else the newest sound one' },
    'dry-run': { says: 'only say what would be made' },
    ...identityFlag,
  },
  details: [
    'For a bare machine, before gaia restore: bootstrap.sh calls both. Users get the numbers that their files have, units their files and whether they start by themselves, users whose units run without a login that.',
    'Nothing that is here is changed; what is here and is not as it was is named. May be repeated.',
  ],
  example: 'gaia bootstrap full --dry-run',
  exits: [
    '0 all of it is here',
    '1 something could not be made',
    '3 only root may',
    '5 no backup',
    '9 something is here and is not as it was',
  ],
  async run(call) {
    const { place } = call.config();
    const wanted = call.words[0] as string;
    const all = targetsNamed(call.config(), wanted);
    if (call.flags['dry-run'] !== true && call.around.uid !== 0)
      throw new Fault('forbidden', 'Only root may make users and units.', { hint: 'sudo gaia bootstrap …' });
    const lock = call.flags['dry-run'] === true ? undefined : takeLock(place, `bootstrap ${wanted}`, call.around.clock);
    try {
      const made: Record<string, string[]> = {};
      const differs: string[] = [];
      const lines: string[] = [];
      for (const target of all) {
        const facts = await factsOf(target, call, all.length > 1);
        const plan: MachinePlan =
          facts === undefined ? { steps: [], differs: [] } : await planMachine(facts, call.around.uid);
        made[target.name] = plan.steps.map(({ what }) => what);
        differs.push(...plan.differs.map((text) => `${target.name}: ${text}`));
        for (const { what, make } of plan.steps) {
          if (lock !== undefined) await make();
          lines.push(`${target.name}: ${lock === undefined ? 'would make' : 'made'} ${what}`);
        }
      }
      return conclude(lines, differs, made);
    } finally {
      lock?.release();
    }
  },
};

function conclude(lines: string[], differs: string[], made: Record<string, string[]>): Conclusion {
  return {
    exit: differs.length > 0 ? Exit.partial : Exit.ok,
    lines: lines.length > 0 ? lines : ['Nothing is missing.'],
    json: { made, differs },
    notes: differs.map((text) => `NOT CHANGED: ${text}`),
  };
}

/** Undefined for a backup of before there were any, and for a target of several that has none. */
async function factsOf(target: Target, call: Call, isOneOfMany: boolean): Promise<MachineFacts | undefined> {
  const { place } = call.config();
  const { backup: named } = call.flags;
  let backup: ReturnType<typeof findBackup>;
  try {
    backup = findBackup(place, [target.name], named === undefined ? 'latest' : String(named));
  } catch (error) {
    if (!isOneOfMany || !(error instanceof Fault) || error.code !== 'not-found') throw error;
    call.around.say(error.message);
    return undefined;
  }
  const open = await openBackup(backup.file, knownKey(place.publicKey), openerOf({ place, target }));
  try {
    if (open.kind === 'own' && open.list.some((listed) => pathOf(listed) === member))
      return parseMachineFacts(await open.member(member));
    call.around.say(`${backup.name} is of before backups knew units and users; make those of ${target.name} yourself.`);
    return undefined;
  } finally {
    await open.close();
  }
}
