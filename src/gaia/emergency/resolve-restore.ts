import { Fault } from '../../base/fault.ts';
import { digestBeside } from '../../recovery/archive/manifest-file.ts';
import type { Backup } from '../../recovery/catalog/catalog.ts';
import { findBackup } from '../../recovery/catalog/catalog.ts';
import { wakeDocker } from '../../recovery/compose/wake-docker.ts';
import { showBytes, showSpan, showTime } from '../amounts.ts';
import type { Call } from '../command.ts';
import { type PreparedRestore, prepareRestore, requireNothingInTheWay } from '../prepare-restore.ts';
import { requireFree } from '../start-run.ts';
import { requireNoInterrupted, targetNamed, targetsNamed } from '../targets.ts';
import type { Part } from './operation.ts';

/** What a restore of a target, or of `full`, would be done from, and that in words. */
export type Resolved = { parts: Part[]; lines: string[] };

/**
 * Finds the exact backups, and sees that nothing is in the way of any; nothing is touched, but Docker started where it is down.
 * @throws Fault as `gaia restore` would
 */
export async function resolveRestore(call: Call, target: string): Promise<Resolved> {
  const config = call.config();
  const targets = targetsNamed(config, target);
  requireFree(call);
  for (const { name } of targets) requireNoInterrupted(config.place, name);
  const parts: Part[] = [];
  const isWoken = targets.some(({ compose = [] }) => compose.length > 0) && (await wakeDocker());
  const lines = isWoken ? ['Docker did not run, and was started.', ''] : [];
  for (const each of targets) {
    const prepared = await prepareRestore(call, each, 'latest');
    requireNothingInTheWay(prepared);
    parts.push(partOf(prepared));
    lines.push(...wordsOf(prepared, call.around.clock()), '');
  }
  if (parts.length === 0) throw new Fault('not-found', 'The configuration names no target to restore.');
  return { parts, lines };
}

function partOf({ target, backup: { name, file }, manifestSha256 }: PreparedRestore): Part {
  if (manifestSha256 !== null) return { target: target.name, backup: name, file, sha256: manifestSha256 };
  throw new Fault('usage', `${name} is of an older tool, and nothing says what it should hold.`, {
    hint: `Look at it on the server, and restore it there: gaia restore ${target.name} --backup ${name}`,
  });
}

function wordsOf({ target, backup, prepared: { plan } }: PreparedRestore, nowMs: number): string[] {
  const ago = showSpan(nowMs - backup.atMs);
  return [
    `${target.name} from ${backup.name}`,
    `  ${showBytes(backup.bytes)}, digest ${backup.manifest?.archive.sha256.slice(0, 16)}`,
    `  taken ${showTime(backup.atMs)} UTC`,
    `  Lost is what came since: ${ago}.`,
    `  ${drillText(backup)}`,
    ...plan.stops.map((what) => `  stops ${what}, and starts it again`),
    ...plan.warnings.map((text) => `  WARNING: ${text}`),
  ];
}

function drillText({ verified }: Backup): string {
  const at = verified?.drilled_at;
  return at === undefined ? 'It was never tried in a drill.' : `Came back in a drill on ${at.slice(0, 10)}.`;
}

/** @throws Fault `conflict` when the backup is no longer the one that was confirmed */
export function requireSame(call: Call, { target, backup, file, sha256 }: Part): void {
  const { place } = call.config();
  const found = findBackup(place, [targetNamed(call.config(), target).name], file);
  if (digestBeside(found.file) === sha256) return;
  throw new Fault('conflict', `${backup} is not the backup any more that was confirmed. Nothing was touched.`, {
    hint: 'Ask for it again.',
  });
}
