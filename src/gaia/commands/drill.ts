import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { knownKey } from '../../recovery/archive/sign.ts';
import { type Backup, findBackup } from '../../recovery/catalog/catalog.ts';
import { record } from '../../recovery/catalog/records.ts';
import { type DrillResult, runDrill } from '../../recovery/drill/run-drill.ts';
import { abandoned, closeScratch } from '../../recovery/drill/scratch-place.ts';
import type { Place } from '../../recovery/place.ts';
import { openBackup, openerOf } from '../../recovery/restore/open-backup.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import { newRunId } from '../../recovery/run/run-folder.ts';
import { showSpan } from '../amounts.ts';
import { causeOf, toldOnceFlag } from '../cause.ts';
import { type Call, type Command, type Conclusion, identityFlag } from '../command.ts';
import { requireNoInterrupted, targetNamed } from '../targets.ts';
import { tell } from '../tell-bus.ts';

/** gaia drill — proves that a backup comes back, beside what is live. Exit 0 proven, 9 came up but nobody was asked, 1 did not. */
export const drill: Command = {
  name: 'drill',
  summary: 'Prove that a backup comes back, beside what is live',
  usage: 'TARGET [--backup B] [--cause EVENT]',
  words: [1, 1],
  flags: {
    backup: { value: 'B', says: 'a name, the beginning of one, or a path; else the newest sound one' },
    ...identityFlag,
    ...toldOnceFlag,
  },
  details: [
    'Everything is unpacked into a scratch folder, databases are loaded into new servers, services start as a compose project of its own: no ports, a network without a way out, no restarts, workflows of n8n inactive. Nothing of the live target is touched or stopped.',
    'It prints how long each phase took (RTO) and how old the backup is (RPO), and gaia list says from then on that this backup was proven.',
  ],
  example: 'gaia drill prod',
  exits: [
    '0 it came back and was well',
    '1 it did not',
    '4 no Docker',
    '5 no backup',
    '6 another run',
    '7 damaged',
    '9 it runs, but no endpoint was asked',
    '130 ended by Ctrl-C, with everything removed',
  ],
  delivers: true,
  async run(call) {
    const { around, flags } = call;
    causeOf(call);
    const { place } = call.config();
    const target = targetNamed(call.config(), call.words[0] as string);
    requireNoInterrupted(place, target.name);
    const lock = takeLock(place, `drill ${target.name}`, around.clock);
    try {
      await sweepDrills(place, around.say);
      const backup = findBackup(place, [target.name], flags.backup === undefined ? 'latest' : String(flags.backup));
      const open = await openBackup(backup.file, knownKey(place.publicKey), openerOf({ place, target }));
      try {
        if (open.kind !== 'own' || open.signed.manifest.contents === 'databases')
          throw new Fault(
            'usage',
            `${backup.name} holds not all of ${target.name}, so it cannot be brought back alone.`,
            {
              hint: 'Name a whole backup: gaia list',
            },
          );
        const id = newRunId(around.clock());
        const result = await runDrill({
          id,
          target,
          backup: open,
          place,
          clock: around.clock,
          progress: call.progress,
          signal: around.signal,
        });
        remember(place, backup, result);
        tellDrill(call, target.name, backup, result);
        return { ...conclude(backup, result), ...(around.signal.aborted ? { exit: Exit.interrupted } : {}) };
      } finally {
        await open.close();
      }
    } finally {
      lock.release();
    }
  },
};

/** Removes what drills left whose process was killed. The caller holds the lock. Never throws for what cannot be removed. */
export async function sweepDrills(place: Pick<Place, 'state'>, say: (line: string) => void): Promise<void> {
  for (const id of abandoned(place)) {
    const left = await closeScratch(place, id);
    say(left ?? `Removed what the drill ${id} had left, which was ended in the middle.`);
  }
}

function remember(place: Place, { file, verified }: Backup, { kind, asked, at }: DrillResult): void {
  if (kind !== 'proven' || !asked) return;
  const { size, mtimeMs } = statSync(file);
  const seen = { bytes: size, mtimeMs: Math.floor(mtimeMs) };
  record(place, relative(place.backups, file), { ...verified, ...seen, at, verdict: 'sound', drilled_at: at });
}

function tellDrill(call: Call, target: string, backup: Backup, { kind, says, rtoMs, rpoMs }: DrillResult): void {
  const action = kind === 'proven' ? 'drill_completed' : 'drill_failed';
  const seconds = { rto_seconds: Math.round(rtoMs / 1000), rpo_seconds: Math.round(rpoMs / 1000) };
  tell(call, { action, target, details: { backup: backup.name, says, ...seconds } });
}

function conclude(backup: Backup, result: DrillResult): Conclusion {
  const { kind, says, asked, phases, rtoMs, rpoMs, notes, logs, at } = result;
  const isProven = kind === 'proven';
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  const shown = phases.map(({ name, ms }) => `  ${name.padEnd(10)} ${seconds(ms).padStart(9)}`);
  const remarks = notes.map((text) => `Not as in earnest: ${text}.`);
  const json = {
    ...{ backup: backup.name, target: backup.target, result: kind, says, asked, at },
    phases: phases.map(({ name, ms }) => ({ name, seconds: Number((ms / 1000).toFixed(3)) })),
    ...{ rto_seconds: Number((rtoMs / 1000).toFixed(3)), rpo_seconds: Math.round(rpoMs / 1000), notes },
  };
  if (!isProven)
    return {
      exit: Exit.failed,
      json,
      lines: [`${backup.name} did not come back.`, ...shown],
      wrong: [says, ...logs.map((line) => `  ${line}`)],
      notes: remarks,
    };
  return {
    exit: asked ? Exit.ok : Exit.partial,
    json,
    lines: [
      `${backup.name} came back in ${seconds(rtoMs)} (RTO).`,
      ...shown,
      `Lost would be what came since it was made, ${showSpan(rpoMs)} ago (RPO).`,
    ],
    notes: [
      ...remarks,
      ...(asked ? [] : ['It runs, but that all of it is well nobody could say, so it does not count as proven.']),
    ],
  };
}
