import { basename } from 'node:path';
import type { JsonObject } from '../../base/json.ts';
import { failureOf, type GaiaEnd, lastDocument, type RunGaia } from '../gaia-end.ts';
import { backupDetails, outcomeOf } from './gaia-backup.ts';
import { graceOf, type Planned } from './plan.ts';
import { gaveWay, type Precedence } from './precedence.ts';

/** What doing things by the schedule touches. */
export type DoEffects = {
  gaia: RunGaia;
  /** `leveredge backup --scheduled`, by whoever may read the database. */
  copyBus(signal: AbortSignal): Promise<GaiaEnd>;
  precedence: Precedence;
};

/**
 * What came of it. `done`: with what the bus is to hear, where GAIA tells it not itself. `later`: others work on the backups, or
 * go first. `failed`: `isTold` when GAIA has told it already.
 */
export type Done =
  | { kind: 'done'; told?: { of: string; details: JsonObject } }
  | { kind: 'later' }
  | { kind: 'failed'; code: string; says: string };

const hourMs = 3_600_000;
/** Longer than that nothing goes on that nobody looks at. */
const longestMs = 24 * hourMs;
/** So long the proof of a backup may go on always; longer only where none is late for it. */
const proofMs = 6 * hourMs;
const drilled = [0, 9];
/** What a verification concludes: sound, or damaged, which GAIA tells. */
const concluded = [0, 7];

/** How long this may take: meanwhile no backup is made, and nobody is told that one is missing. */
export function longestFor({ what }: Planned, all: readonly Planned[], nowMs: number): number {
  if (what !== 'drill' && what !== 'verify') return longestMs;
  const late = all
    .filter((each) => each.what === 'whole' || each.what === 'databases' || each.what === 'copy')
    .map(({ nextMs, rule }) => nextMs + graceOf(rule) - nowMs);
  return Math.min(longestMs, Math.max(proofMs, Math.min(...late)));
}

/** Does what is due. @throws the reason of the signal */
export async function doPlanned(
  planned: Planned,
  effects: DoEffects,
  signal: AbortSignal,
  withinMs = longestMs,
): Promise<Done> {
  const limit = AbortSignal.timeout(withinMs);
  try {
    return await kinds[planned.what](planned, effects, AbortSignal.any([signal, limit]));
  } catch (error) {
    if (error === gaveWay) return { kind: 'later' };
    if (!limit.aborted || signal.aborted) throw error;
    return {
      kind: 'failed',
      code: 'unavailable',
      says: `It took longer than ${(withinMs / hourMs).toFixed(1).replace('.0', '')} hours, and was ended.`,
    };
  }
}

type Doing = (planned: Planned, effects: DoEffects, signal: AbortSignal) => Promise<Done>;

const asked = ['--json', '--quiet'];

const kinds: Readonly<Record<Planned['what'], Doing>> = {
  whole: (planned, { gaia }, signal) => backUp(planned, gaia, [], signal),
  databases: (planned, { gaia }, signal) => backUp(planned, gaia, ['--only', 'db'], signal),
  async verify({ target }, { gaia }, signal) {
    return ended(await gaia(['verify', 'latest', '--target', target, ...asked], signal), concluded);
  },
  async drill({ target }, { gaia, precedence }, signal) {
    const end = await precedence.yielding(signal, (either) => gaia(['drill', target, ...asked], either));
    // One that was tried and did not come back is told by GAIA, and tried again at its next time.
    return typeof lastDocument(end.stdout)?.result === 'string' ? { kind: 'done' } : ended(end, drilled);
  },
  async prune({ target }, { gaia }, signal) {
    return ended(await gaia(['prune', '--target', target, '--yes', ...asked], signal), [0]);
  },
  async copy(_, { copyBus }, signal) {
    const end = await copyBus(signal);
    const done = ended(end, [0]);
    const { file, bytes = null, events = null } = copyIn(end.stdout);
    if (done.kind !== 'done' || typeof file !== 'string') return done;
    const name = basename(file);
    return { kind: 'done', told: { of: name, details: { backup: name, bytes, events } } };
  },
};

/** `leveredge` prints its document over several lines, as GAIA does not. */
function copyIn(stdout: string): JsonObject {
  try {
    return JSON.parse(stdout) as JsonObject;
  } catch {
    return {}; // It is told by its name alone, as one that was made for a process before this one.
  }
}

async function backUp({ target, cause }: Planned, gaia: RunGaia, only: string[], signal: AbortSignal): Promise<Done> {
  const words = ['backup', target, ...only, '--reason', 'scheduled', '--cause', cause, ...asked];
  const end = await gaia(words, signal);
  const outcome = outcomeOf(end);
  switch (outcome.kind) {
    case 'made': {
      const results = lastDocument(end.stdout)?.results as JsonObject[];
      const details = backupDetails(results);
      return { kind: 'done', told: { of: String(details.backup), details: { ...details, exit: end.exit, cause } } };
    }
    case 'locked':
      return { kind: 'later' };
    case 'ended':
      return { kind: 'failed', code: 'unavailable', says: 'GAIA was ended before the backup was made.' };
    case 'failed':
      return { kind: 'failed', ...outcome.details };
  }
}

function ended(end: GaiaEnd, fine: readonly number[]): Done {
  if (end.exit !== null && fine.includes(end.exit)) return { kind: 'done' };
  const { code, says } = failureOf(end);
  return code === 'locked' ? { kind: 'later' } : { kind: 'failed', code, says };
}
