import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Client } from '../../client/client.ts';
import { patiently } from '../../client/patience.ts';
import { approvalAction } from '../../events/capability.ts';
import { busAgent, type Event } from '../../events/event.ts';
import { endEventOf } from '../../recovery/events/run-events.ts';
import type { Refusal } from '../../recovery/restore/plan.ts';
import { type Agent, type Call, type Conclusion, done, type Handler, type Prepared } from '../agent.ts';
import {
  failureOf,
  type GaiaEffects,
  type GaiaEnd,
  inItsTurn,
  lastDocument,
  listBackups,
  resultOf,
  untilEnded,
} from '../gaia-end.ts';

/** What HADES touches. */
export type HadesEffects = GaiaEffects & {
  client: Pick<Client, 'pending' | 'callCapability' | 'event'>;
  /** The names of what GAIA's configuration can restore. @throws Fault for a configuration that is missing or wrong */
  targets(): readonly string[];
};

const longestMs = 5 * 60_000;
const waitSeconds = 50;
const rollback = 'hades.rollback';
/** Whose failures are of the way back itself: another rollback mends none of them. */
const ownSide: readonly string[] = ['GAIA', 'CHRONOS', 'HADES', busAgent];
/** GAIA's: done, and done but not proven healthy. */
const restored = [0, 9];
/** How long a bus that is away is waited for, until GAIA tells it of a restore. */
const tellPatienceMs = 10 * 60_000;
/** How often one call has GAIA finish what it was killed in. */
const maxFinishes = 3;

/**
 * HADES prepares a rollback when something fails that names a target, and asks a person; it rolls back what was approved, and
 * takes a rollback back. What is done is GAIA's, as a run under its own journal: a call is one run, however often it is begun.
 */
export function hades(effects: HadesEffects): Agent {
  return {
    name: 'HADES',
    port: 8008,
    hears: { '*_failed': 1, audit_failed: 1, health_check_failed: 1 },
    longestMs,
    react: (event) => propose(effects, event),
    offers: {
      'hades.list': { run: (args, { signal }) => listBackups(effects, args, signal) },
      'hades.plan': { run: async (args, call) => shownPlan(await planOf(effects, args, call)) },
      [rollback]: rollbackBy(effects),
      'hades.undo': undoBy(effects),
    },
  };
}

async function propose({ client, targets }: HadesEffects, event: Event): Promise<Conclusion> {
  const { id, target, source_agent } = event;
  if (!target || ownSide.includes(source_agent)) return done();
  try {
    if (!targets().includes(target)) return done();
  } catch (error) {
    // A mistake in the configuration, which no waiting mends.
    if (!(error instanceof Fault)) throw error;
    return { says: [], end: { kind: 'never', because: error.message } };
  }
  const { pending } = await client.pending({ limit: 200 });
  // Only the bus asks for approvals; another's question keeps no rollback from being asked.
  const asked = pending.find(
    (each) => each.source_agent === busAgent && each.action === approvalAction(rollback) && each.target === target,
  );
  if (asked !== undefined) {
    // Asked for this very failure, which comes again because that could not be acknowledged in time.
    if (await isAskedFor(client, asked.id, id)) return done();
    const because = `Whether to roll ${target} back is asked already.`;
    return done({ action: 'rollback_not_asked', target, details: { because, question: asked.id } });
  }
  try {
    // Until it is asked: another failure of the same target may be the next that is heard.
    await client.callCapability(rollback, { target }, { via: 'HADES', cause: id, idempotencyKey: id, waitSeconds });
  } catch (error) {
    // Why it cannot be prepared is told by the event that ends the call.
    if (!(error instanceof Fault) || error.extra.call === undefined) throw error;
  }
  return done();
}

async function isAskedFor(client: HadesEffects['client'], question: string, failure: string): Promise<boolean> {
  const { causation_id: call } = await client.event(question);
  return typeof call === 'string' && (await client.event(call)).causation_id === failure;
}

type Plan = {
  target: string;
  /** Null of a backup of the first implementation, which says nothing of itself. */
  backup: { name: string; created_at: string | null };
  files: number;
  bytes: number;
  /** Of servers, as `app (service db)`. */
  databases: string[];
  replaces: string[];
  stops: string[];
  warnings: string[];
  refusals: Pick<Refusal, 'says' | 'hint'>[];
  hash: string;
};

async function planOf(effects: GaiaEffects, args: JsonObject, { signal }: Call): Promise<Plan> {
  const { target, backup } = args as { target: string; backup?: string };
  const named = backup === undefined ? [] : ['--backup', backup];
  // One that is refused is a plan all the same, which says why.
  const words = ['plan', target, ...named, '--json', '--quiet'];
  return resultOf(await untilEnded(effects, words, signal), [0, 6]) as Plan;
}

function shownPlan(plan: Plan): JsonObject {
  const { target, backup, files, bytes, stops, warnings, refusals, hash } = plan;
  const { name, created_at } = backup;
  const replaces = replacedBy(plan);
  const why = refusals.map(({ says }) => says);
  return { target, backup: name, created_at, files, bytes, replaces, stops, warnings, refusals: why, plan: hash };
}

const replacedBy = ({ replaces, databases }: Plan) => [...replaces, ...databases.map((each) => `the database ${each}`)];

function contentsOf({ backup: { created_at }, files, bytes }: Plan): string {
  if (created_at === null) return 'It is of an earlier version, and does not say when it was taken and what it holds.';
  return `It was taken ${created_at.slice(0, 19).replace('T', ' ')} UTC, and has ${files} ${files === 1 ? 'file' : 'files'} of ${bytes} bytes.`;
}

function rollbackBy(effects: HadesEffects): Handler {
  return {
    async prepare(args, call): Promise<Prepared> {
      const plan = await planOf(effects, args, call);
      const [refusal] = plan.refusals;
      if (refusal !== undefined) {
        const why = plan.refusals.map(({ says }) => says).join(' ');
        throw new Fault('conflict', `${plan.target} cannot be rolled back now: ${why}`, { hint: refusal.hint });
      }
      if (typeof args.plan === 'string' && args.plan !== plan.hash)
        throw new Fault('conflict', 'What would be done is not what that plan showed.', {
          hint: 'Look at it again: hades.plan',
        });
      return {
        arguments: { target: plan.target, backup: plan.backup.name, plan: plan.hash },
        says: [
          // First: what is beyond the longest question is cut off.
          ...plan.warnings,
          contentsOf(plan),
          `It replaces ${replacedBy(plan).join(', ')}; what is there now is put aside.`,
          ...(plan.stops.length > 0 ? [`Stopped meanwhile: ${plan.stops.join(', ')}.`] : []),
        ],
      };
    },
    async run(args, { id, signal }) {
      const { target, backup, plan } = args as { target: string; backup: string; plan: string };
      const words = [
        'restore',
        target,
        '--backup',
        backup,
        '--plan',
        plan,
        '--yes',
        '--cause',
        id,
        '--json',
        '--quiet',
      ];
      return { ...outcomeOf(target, resultOf(await endTold(effects, words, signal), restored)), backup };
    },
  };
}

/** As `gaia status` tells of it. */
type Run = {
  id: string;
  kind: string;
  target: string;
  backup: string | null;
  created_at: string;
  outcome: { kind: string } | null;
};

function undoBy(effects: HadesEffects): Handler {
  return {
    async prepare(args, { signal }) {
      const { target, run } = args as { target: string; run?: string };
      if (!effects.targets().includes(target))
        throw new Fault('not-found', `GAIA's configuration knows no target ${target}.`);
      const status = await untilEnded(effects, ['status', '--json', '--quiet'], signal);
      const { runs } = resultOf(status, [0, 9]) as { runs: Run[] };
      const last = runs.findLast((each) => each.target === target && each.outcome?.kind === 'committed');
      if (last === undefined)
        throw new Fault('not-found', `Nothing was rolled back of ${target} that could be undone.`);
      if (run !== undefined && run !== last.id)
        throw new Fault('conflict', `The last run of ${target} is ${last.id}, and not ${run}.`);
      const from = last.backup === null ? '' : ` from ${last.backup}`;
      return {
        // Which one: meanwhile there may be another, and that is not what was approved.
        arguments: { target, run: last.id },
        says: [
          `That is the ${last.kind}${from} of ${last.created_at.slice(0, 19).replace('T', ' ')} UTC (${last.id}).`,
          'What is there now is put aside in turn.',
        ],
      };
    },
    async run(args, { id, signal }) {
      const { target, run } = args as { target: string; run: string };
      const words = ['undo', target, '--run', run, '--yes', '--cause', id, '--json', '--quiet'];
      return outcomeOf(target, resultOf(await endTold(effects, words, signal), restored));
    },
  };
}

/**
 * Runs GAIA, and sees to it that the bus knows how that ended before it hears it from here: GAIA tells it itself, but only
 * when it is asked again where the bus was away just then. Asked for the same cause it does nothing else.
 */
async function endTold(effects: HadesEffects, words: readonly string[], signal: AbortSignal): Promise<GaiaEnd> {
  const end = await finished(effects, words, signal);
  const run = lastDocument(end.stdout)?.run;
  if (typeof run !== 'string') return end;
  try {
    await patiently({ signal })(tellPatienceMs, () => effects.client.event(endEventOf(run)));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Fault && error.code === 'not-found') await inItsTurn(effects, words, signal);
    // Otherwise the bus is away for long, and what was done counts: it is told with whatever GAIA does next.
  }
  return end;
}

/** Runs GAIA until it says how that ended: killed in the middle, it goes on when the same is asked for the same cause. */
async function finished(effects: GaiaEffects, words: readonly string[], signal: AbortSignal): Promise<GaiaEnd> {
  for (let finishes = 0; ; finishes++) {
    const end = await inItsTurn(effects, words, signal);
    const isKilled = lastDocument(end.stdout) === undefined && failureOf(end).code === 'internal';
    if (!isKilled || finishes === maxFinishes) return end;
  }
}

function outcomeOf(target: string, { outcome, says, run, health, aside }: JsonObject): JsonObject {
  return { target, outcome, says, run, health, aside } as JsonObject;
}
