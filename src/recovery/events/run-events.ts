import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Exit } from '../../base/exit.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';
import { type JournalLine, readJournal } from '../run/journal.ts';
import { journalOf, type RunRequest, requestOf, runFolders } from '../run/run-folder.ts';
import type { Outcome } from '../run/status.ts';
import { type OutboxEvent, sentence } from './event.ts';
import { putIntoOutbox } from './outbox.ts';

/** The two things that a run tells. */
const parts = ['begin', 'end'] as const;
type Part = (typeof parts)[number];

/** The id of the event that tells how a run ended, before there is one. */
export const endEventOf = (run: string) => eventIdOf(run, 'end');

const eventIdOf = (run: string, part: Part) => `gaia-${run}-${part}`;

/** Names in a run's folder what of it is not in the outbox yet. Runs of older versions have none, and tell nothing. */
const untoldIn = (folder: string) => join(folder, 'untold');

/**
 * From now on this run has something to tell; safe to repeat. Whoever is killed before it was told leaves it to the next.
 * @throws the system's error
 */
export function beginTelling(folder: string): void {
  if (!existsSync(untoldIn(folder))) writeWhole(untoldIn(folder), Buffer.from(parts.join(' ')));
}

/**
 * Puts what a run has to tell by now into the outbox. From one journal always come the same events, so that to do it twice
 * is no second event.
 * @throws Fault `damaged` for its journal, the system's error
 */
export function tellRun(folder: string): void {
  const { untold, request, events } = toTell(folder);
  if (request === undefined || events.size === 0) return;
  for (const event of events.values()) putIntoOutbox(request.place, event);
  const left = untold.filter((part) => !events.has(part));
  // A run that ended tells nothing more, also not that it had begun.
  if (left.includes('end')) writeWhole(untoldIn(folder), Buffer.from(left.join(' ')));
  else rmSync(untoldIn(folder), { force: true });
}

/** The same for all runs: of one that was killed after its end, nobody else would. Never throws. */
export function tellRuns(place: Pick<Place, 'state'>): void {
  for (const folder of runFolders(place))
    try {
      tellRun(folder);
    } catch {
      // A damaged journal is told by others, and a full disk leaves it to the next command.
    }
}

/** Whether a run has something to tell that is not in the outbox yet, for who may only look. Never throws. */
export function haveRunsToTell(place: Pick<Place, 'state'>): boolean {
  return runFolders(place).some((folder) => {
    try {
      return toTell(folder).events.size > 0;
    } catch {
      return false; // As when it is told: a damaged journal is told by others.
    }
  });
}

type ToTell = { untold: Part[]; request: RunRequest | undefined; events: Map<Part, OutboxEvent> };

function toTell(folder: string): ToTell {
  const untold = untoldOf(folder);
  const request = untold.length > 0 ? requestOf(folder) : undefined;
  const events = new Map<Part, OutboxEvent>();
  if (request === undefined) return { untold, request, events };
  const lines = readJournal(journalOf(folder));
  for (const part of untold) {
    const event = eventOf(part, request, lines);
    if (event !== undefined) events.set(part, event);
  }
  return { untold, request, events };
}

function untoldOf(folder: string): Part[] {
  try {
    const words = readFileSync(untoldIn(folder), 'utf8').split(' ');
    return parts.filter((part) => words.includes(part));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function eventOf(part: Part, request: RunRequest, lines: readonly JournalLine[]): OutboxEvent | undefined {
  // A run that was interrupted while it staged looks anew; it began at the first time.
  const line =
    part === 'begin'
      ? lines.find(({ step, state }) => step === 'preflight' && state === 'done')
      : lines.find(({ step }) => step === 'end');
  if (line === undefined) return undefined;
  const outcome = part === 'end' ? (line.facts as Outcome) : undefined;
  const { id, kind, target, backup, only, undoes, cause } = request;
  const began = Date.parse(lines[0]?.at ?? line.at);
  const staged = lines.findLast(({ step, state }) => step === 'stage' && state === 'done')?.facts;
  return {
    id: eventIdOf(id, part),
    source_agent: 'GAIA',
    action: outcome === undefined ? 'restore_started' : actionOf(outcome),
    target: target.name,
    correlation_id: id,
    ...(cause === undefined ? {} : { causation_id: cause }),
    details: {
      happened_at: line.at,
      ...{ kind, run: id, backup: backup?.name ?? null, only, undoes },
      ...(outcome === undefined ? {} : endOf(outcome, line, began, staged)),
    },
  };
}

function endOf(
  { kind, exit, says, health }: Outcome,
  { at }: JournalLine,
  beganMs: number,
  staged: JournalLine['facts'] | undefined,
) {
  return {
    ...{ outcome: kind, exit, says: sentence(says), health: health ?? null },
    seconds: Math.max(0, (Date.parse(at) - beganMs) / 1000),
    bytes: typeof staged?.bytes === 'number' ? staged.bytes : null,
  };
}

/** An old state that is back and not well is a failure, and no way back that worked. */
function actionOf({ kind, exit }: Outcome): OutboxEvent['action'] {
  if (kind === 'committed') return 'restore_completed';
  return kind === 'taken back' && exit !== Exit.failed ? 'restore_rolled_back' : 'restore_failed';
}
