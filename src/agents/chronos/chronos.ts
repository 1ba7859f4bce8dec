import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Event } from '../../events/event.ts';
import { type Agent, type Call, type Conclusion, done, type Handler } from '../agent.ts';
import { type GaiaEffects, listBackups, resultOf, untilEnded } from '../gaia-end.ts';
import { type BackupOutcome, backupDetails, madeExits } from './gaia-backup.ts';
import { busTarget } from './plan.ts';
import { makePrecedence } from './precedence.ts';
import { pruneBy } from './prune.ts';
import { type ByTheSchedule, byTheSchedule, type ScheduleEffects } from './schedule.ts';
import { shownSchedule } from './show-schedule.ts';

/** What CHRONOS touches. */
export type ChronosEffects = GaiaEffects & {
  /** The names of what GAIA's configuration can back up. @throws Fault for a configuration that is missing or wrong */
  targets(): readonly string[];
  /** One backup for this event: asked again, the same one. Lets go on the signal, and throws its reason. */
  backUp(target: string, cause: string, signal: AbortSignal): Promise<BackupOutcome>;
  /** What it does by itself; without it nothing. */
  schedule?: Omit<ScheduleEffects, 'gaia' | 'precedence'>;
};

/** Between two looks whether another run has let go of the backups, and for how long. */
const lookAgainMs = 2000;
const maxLooks = 1800;
/** Proven, and came up where nobody could be asked. */
const drilledExits = [0, 9];
const longestMs = 6 * 3_600_000;
/** What a person may have mended by then, such as a full disk. */
const tryAgainSeconds = 60;

/** What announces a change, by its priority. */
const announcements = { deploy_started: 1, build_started: 1, upgrade_started: 1, config_changed: 2 } as const;

/**
 * CHRONOS backs a target up before somebody changes it, so that there is something to roll back to. It alone tells the bus of
 * these backups: GAIA, which makes them, is told their cause and keeps silent.
 */
export function chronos(effects: ChronosEffects): Agent {
  const precedence = makePrecedence();
  const scheduled = effects.schedule && byTheSchedule({ ...effects.schedule, gaia: effects.gaia, precedence });
  /** Whoever calls waits for it. */
  const first =
    (run: (effects: ChronosEffects, args: JsonObject, call: Call) => Promise<JsonObject>): Handler['run'] =>
    (args, call) =>
      precedence.first(() => run(effects, args, call));
  const prune = pruneBy(effects);
  return {
    name: 'CHRONOS',
    port: 8010,
    hears: announcements,
    longestMs,
    async react(event, signal) {
      const { target } = event;
      if (!target) return skipped(event, 'The event names no target.');
      let known: readonly string[];
      try {
        known = effects.targets();
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        const { code, message } = error;
        return failed(target, { code, says: message }, { kind: 'never', because: message });
      }
      if (!known.includes(target)) return skipped(event, `GAIA's configuration knows no target of this name.`);
      return concluded(target, await precedence.first(() => whenFree(effects, event, target, signal)));
    },
    ...(scheduled && { byItself: scheduled.round }),
    offers: {
      'chronos.list': { run: (args, { signal }) => listBackups(effects, args, signal) },
      'chronos.backup': {
        run: first(backUpNow),
        says: (result, { target }) => [
          { action: 'backup_completed', target: target as string, details: { ...result, why_made: 'manual' } },
        ],
      },
      'chronos.drill': { run: first(drill) },
      'chronos.prune': { ...prune, run: (args, call) => precedence.first(() => prune.run(args, call)) },
      ...(scheduled && {
        'chronos.schedule': { run: async (args: JsonObject) => showSchedule(scheduled, args) },
      }),
      'chronos.verify': { run: first(verify) },
    },
  };
}

function skipped({ target }: Event, because: string): Conclusion {
  return done({ action: 'backup_skipped', target, details: { because } });
}

/** One run works on the backups at a time. Waiting costs none of the bus' attempts, since the lease is extended. */
async function whenFree(
  { backUp, sleep }: ChronosEffects,
  { id }: Event,
  target: string,
  signal: AbortSignal,
): Promise<BackupOutcome> {
  for (let looks = 1; ; looks++) {
    const outcome = await backUp(target, id, signal);
    if (outcome.kind !== 'locked' || looks === maxLooks) return outcome;
    await sleep(lookAgainMs, signal);
  }
}

function concluded(target: string, outcome: BackupOutcome): Conclusion {
  switch (outcome.kind) {
    case 'made':
      return done({ action: 'backup_completed', target, details: outcome.details });
    case 'locked':
      return { says: [], end: { kind: 'again', because: outcome.says, afterSeconds: tryAgainSeconds } };
    case 'ended':
      return { says: [], end: { kind: 'again', because: 'GAIA was ended before the backup was made.' } };
    case 'failed': {
      const because = outcome.details.says;
      const again = { kind: 'again', because, afterSeconds: tryAgainSeconds } as const;
      return failed(target, outcome.details, outcome.mayPass ? again : { kind: 'never', because });
    }
  }
}

/** Said at once, since whoever announced the change waits; a later attempt that succeeds says so too. */
function failed(target: string, details: JsonObject, end: Conclusion['end']): Conclusion {
  const tried = { kind: 'backup', why_made: 'pre-change', ...details, tries_again: end.kind === 'again' };
  return { says: [{ action: 'backup_failed', target, details: tried }], end };
}

async function backUpNow(effects: ChronosEffects, { target }: JsonObject, { id, signal }: Call): Promise<JsonObject> {
  const words = ['backup', target as string, '--cause', id, '--json', '--quiet'];
  const { results } = resultOf(await untilEnded(effects, words, signal), madeExits);
  return backupDetails(results as JsonObject[]);
}

async function verify(effects: ChronosEffects, args: JsonObject, { id, signal }: Call): Promise<JsonObject> {
  const { target, backup = 'latest' } = args as { target: string; backup?: string };
  const words = ['verify', backup, '--target', target, '--cause', id, '--json', '--quiet'];
  const { name, state, says, seconds } = resultOf(await untilEnded(effects, words, signal));
  return { backup: name, state, says, seconds } as JsonObject;
}

async function drill(effects: ChronosEffects, args: JsonObject, { id, signal }: Call): Promise<JsonObject> {
  const { target, backup } = args as { target: string; backup?: string };
  const named = backup === undefined ? [] : ['--backup', backup];
  const end = await untilEnded(effects, ['drill', target, ...named, '--cause', id, '--json', '--quiet'], signal);
  const { result, says, rto_seconds, rpo_seconds, phases, backup: tried } = resultOf(end, drilledExits);
  return { target, backup: tried, result, says, rto_seconds, rpo_seconds, phases } as JsonObject;
}

function showSchedule({ plan }: ByTheSchedule, { target }: JsonObject): JsonObject {
  const { planned, config, clocks } = plan();
  if (typeof target === 'string' && config.schedule.targets[target] === undefined && target !== busTarget)
    throw new Fault('not-found', `GAIA's configuration knows no target ${target}.`, {
      hint: `There are: ${[...Object.keys(config.schedule.targets), busTarget].join(', ')}`,
    });
  return shownSchedule(planned, config, { target: target as string | undefined, clocks });
}
