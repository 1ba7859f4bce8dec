import type { JsonObject } from '../../base/json.ts';
import { failureOf, type GaiaEnd, lastDocument } from '../gaia-end.ts';

/**
 * What became of a backup. `locked`: another run works on the backups. `ended`: somebody has ended it, as with the machine.
 * `mayPass`: a later attempt may succeed without a person.
 */
export type BackupOutcome =
  | { kind: 'made'; details: JsonObject }
  | { kind: 'locked'; says: string }
  | { kind: 'ended' }
  | { kind: 'failed'; mayPass: boolean; details: { exit: number; code: string; says: string } };

/** The words of a call of GAIA: one backup, for this event, however often it is asked for. */
export function backupWords(target: string, cause: string): string[] {
  return ['backup', target, '--reason', 'pre-change', '--cause', cause, '--json', '--quiet'];
}

/** Made, or made but not whole. */
export const madeExits: readonly number[] = [0, 9];
const interruptedExit = 130;
const passingCodes = ['storage-full', 'unavailable', 'unreachable', 'internal'];

/** Reads what GAIA printed. */
export function outcomeOf(end: GaiaEnd): BackupOutcome {
  const { exit, stdout } = end;
  if (exit === null || exit === interruptedExit) return { kind: 'ended' };
  const results = lastDocument(stdout)?.results;
  if (madeExits.includes(exit) && Array.isArray(results) && results.length > 0)
    return { kind: 'made', details: detailsOf(results as JsonObject[], exit) };
  const { code, says } = failureOf(end);
  if (code === 'locked') return { kind: 'locked', says };
  return { kind: 'failed', mayPass: passingCodes.includes(code), details: { exit, code, says } };
}

function detailsOf(results: readonly JsonObject[], exit: number): JsonObject {
  return { ...backupDetails(results), why_made: 'pre-change', exit };
}

/** As GAIA tells of a backup itself. Of control-plane there may be two: the one in the repository comes last. */
export function backupDetails(results: readonly JsonObject[]): JsonObject {
  const { name, state, bytes, content_bytes, files, degraded, seconds } = results.at(-1) as JsonObject;
  const others = results.slice(0, -1).map((each) => each.name as string);
  return {
    ...{ backup: name as string, state: state as string },
    ...{ bytes: bytes as number, content_bytes: content_bytes as number, files: files as number },
    ...{ not_whole: Array.isArray(degraded) ? degraded.length : 0, seconds: seconds as number },
    ...(others.length > 0 ? { also_made: others } : {}),
  };
}
