import { basename } from 'node:path';
import type { Place } from '../place.ts';
import { readJournal } from './journal.ts';
import { journalOf, type RunRequest, requestOf, runFolders, withdraw } from './run-folder.ts';
import type { RunState } from './status.ts';

/** What a command line asks for; what it leaves open is undefined. */
export type Asked = {
  kind: RunRequest['kind'];
  target: string | undefined;
  /** A name, the beginning of one, a path, or `latest`. */
  backup?: string | undefined;
  only?: string | undefined;
  plan?: string | undefined;
};

/**
 * The run that was begun for a cause, whatever has become of it. One that was refused has changed nothing, and does not count;
 * so there is one at most.
 */
export function runOfCause(runs: readonly RunState[], cause: string): RunState | undefined {
  return runs.find(({ request, outcome }) => request.cause === cause && outcome?.kind !== 'refused');
}

/** Whether a run does what is asked now. What `latest` is may be another one by now, and is not asked again. */
export function isOfRequest({ kind, target, backup, only, plan }: Asked, request: RunRequest): boolean {
  if (kind !== request.kind || (target ?? request.target.name) !== request.target.name) return false;
  if (kind === 'undo') return true;
  const isBackup =
    backup === undefined || backup === 'latest' || request.backup?.name.startsWith(basename(backup)) === true;
  return isBackup && (only ?? null) === request.only && (plan ?? request.plan_hash) === request.plan_hash;
}

/** Whether anything was made for a cause that does it, or is about to. */
export function isMadeFor(place: Pick<Place, 'state'>, cause: string): boolean {
  return runFolders(place).some((folder) => requestOf(folder)?.cause === cause);
}

/** Folders of runs that were asked for by a cause and have not begun: whoever asked was killed, or they are about to. */
export function unbegunOf(place: Pick<Place, 'state'>, cause: string): string[] {
  return runFolders(place).filter(
    (folder) => requestOf(folder)?.cause === cause && readJournal(journalOf(folder)).length === 0,
  );
}

/** Sees to it that these runs never begin. The caller holds the lock, so none of them begins meanwhile. */
export function withdrawUnbegun(place: Pick<Place, 'state'>, cause: string): void {
  for (const folder of unbegunOf(place, cause)) withdraw(folder);
}
