import { type Clock, rfc3339 } from '../base/clock.ts';
import { Fault, type FaultCode, reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Client } from '../client/client.ts';
import { patiently, sleepUnlessAborted } from '../client/patience.ts';
import { publishPatiently } from '../client/publish-patiently.ts';
import type { WireDelivery } from '../events/delivery.ts';
import { busActions, busAgent, type Event } from '../events/event.ts';
import { type Agent, type Conclusion, done } from './agent.ts';
import { actByItself } from './by-itself.ts';
import { ancestorsOf, judge } from './chain.ts';
import { whileBeating } from './heartbeat.ts';
import { keepLease } from './keep-lease.ts';
import { draftsOf } from './said.ts';

export type RunnerOptions = {
  /** How long a delivery stays with an agent that was killed, until another start of it gets it. */
  leaseSeconds: number;
  /** How long what is being worked on may take after `stop`; then it is given back. */
  graceMs: number;
  /** Ends the runner. */
  stop: AbortSignal;
  log: Log;
  clock: Clock;
  /** How often it tells the bus that it is alive; usual when left out. */
  heartbeatSeconds?: number | undefined;
  /** What it tells of itself beside its tally. */
  about?: { version: string; health: string | null } | undefined;
  /** Called once, when its subscriptions are there. */
  onReady?: (() => void) | undefined;
};

/** What a runner has done since it started, as its health tells it. */
export type Tally = {
  bus: 'not asked yet' | 'reachable' | 'away';
  /** The id of the event it works on. */
  working_on: string | null;
  handled: number;
  given_back: number;
  dead_lettered: number;
  loops_cut: number;
  last_heard_at: string | null;
};

export type Runner = {
  /** Until `stop`. @throws Fault when the bus refuses it for good, as for a wrong token */
  run(): Promise<void>;
  tally(): Tally;
};

type Work = { agent: Agent; client: Client; options: RunnerOptions; tally: Tally; hardStop: AbortSignal };

/** The longest that a claim waits at the bus. */
const waitSeconds = 50;
/** After a fault of the bus that is more than being away, as a full disk. */
const pauseAfterFaultMs = 10_000;
const publishPatienceMs = 5 * 60_000;
const settlePatienceMs = 60_000;
/** A reaction that goes on for so long after it was told to end is left to itself. */
const lettingGoMs = 15_000;
const maxReasonLength = 1000;

/** What the bus says when asking again would change nothing. */
const refusals: readonly FaultCode[] = ['unauthorized', 'forbidden', 'usage', 'invalid', 'malformed', 'too-large'];

/**
 * Runs an agent over the bus, one delivery at a time unless it says more: claims under a lease and extends it, publishes what the agent
 * concludes under ids that come from the cause, then acknowledges, gives back or gives up. It claims instead of reading the
 * stream, because a lease of a stream ends with its connection, and a backup may take longer than a connection lives.
 */
export function makeRunner(agent: Agent, client: Client, options: RunnerOptions): Runner {
  const tally: Tally = {
    bus: 'not asked yet',
    working_on: null,
    handled: 0,
    given_back: 0,
    dead_lettered: 0,
    loops_cut: 0,
    last_heard_at: null,
  };
  const work = { agent, client, options, tally, hardStop: hardStopAfter(agent.name, options) };
  const { heartbeatSeconds: everySeconds, about } = options;
  const beating = { everySeconds, says: () => ({ ...about, ...saidOf(tally) }) };
  return {
    // A queue beside an agent's own is no agent.
    run: () => (agent.speaksAs ? run(work) : whileBeating(agent.name, client, beating, () => runWhole(work))),
    tally: () => ({ ...tally }),
  };
}

function saidOf({ working_on, handled, given_back, dead_lettered, loops_cut }: Tally) {
  return { working_on, handled, given_back, dead_lettered, loops_cut };
}

/** What it hears, and what it does by itself, which ends with that. */
async function runWhole(work: Work): Promise<void> {
  const { agent, client, options, hardStop } = work;
  const failed = new AbortController();
  const stop = AbortSignal.any([options.stop, failed.signal]);
  const alone = actByItself(agent, client, { ...options, stop, hardStop: AbortSignal.any([hardStop, failed.signal]) });
  try {
    await run(work);
  } catch (error) {
    failed.abort(error);
    throw error;
  } finally {
    await alone;
  }
}

async function run(work: Work): Promise<void> {
  const { agent, client, options } = work;
  // No more than is worked on: what comes meanwhile waits at the bus.
  const { atOnce = 1 } = agent;
  const claim = { max: 1, lease_seconds: options.leaseSeconds, wait_seconds: waitSeconds };
  const inHand = new Set<Promise<void>>();
  try {
    for (const [pattern, priority] of Object.entries(agent.hears)) {
      const own = { agent_name: agent.name, action_pattern: pattern, priority, only_if_new: true };
      await stubbornly(work, () => client.addSubscription(own));
    }
    options.onReady?.();
    for (;;) {
      const { deliveries } = await stubbornly(work, () => client.claim(agent.name, claim, options.stop));
      for (const delivery of deliveries) {
        const handled = handle(work, delivery).finally(() => inHand.delete(handled));
        inHand.add(handled);
      }
      while (inHand.size >= atOnce) await Promise.race(inHand);
    }
  } catch (error) {
    if (!options.stop.aborted) throw error;
  } finally {
    await Promise.all(inHand);
  }
}

const speakerOf = ({ name, speaksAs = name }: Agent) => speaksAs;

/** Aborted some time after `stop`. */
function hardStopAfter(agent: string, { stop, graceMs }: RunnerOptions): AbortSignal {
  const controller = new AbortController();
  const begin = () => {
    const end = () => controller.abort(new Fault('unavailable', `${agent} was stopped before it was through.`));
    setTimeout(end, graceMs).unref();
  };
  if (stop.aborted) begin();
  else stop.addEventListener('abort', begin, { once: true });
  return controller.signal;
}

/** Asks again for as long as it takes. @throws Fault of refusals, or the reason of `stop` */
async function stubbornly<T>(work: Work, attempt: () => Promise<T>): Promise<T> {
  const { stop, clock, log } = work.options;
  const onTrouble = (fault: unknown) => {
    stop.throwIfAborted();
    if (work.tally.bus !== 'away') log.warn('the bus does not answer; trying again', { because: reasonOf(fault) });
    work.tally.bus = 'away';
  };
  for (;;) {
    stop.throwIfAborted();
    try {
      const answer = await patiently({ signal: stop, onTrouble, clock })(Number.POSITIVE_INFINITY, attempt);
      if (work.tally.bus === 'away') log.info('the bus answers again');
      work.tally.bus = 'reachable';
      return answer;
    } catch (error) {
      if (!(error instanceof Fault) || refusals.includes(error.code)) throw error;
      onTrouble(error);
      await sleepUnlessAborted(pauseAfterFaultMs, stop);
    }
  }
}

async function handle(work: Work, { id, lease, event, attempt }: WireDelivery): Promise<void> {
  const { agent, client, tally, hardStop } = work;
  const { leaseSeconds, log, clock } = work.options;
  const held = { agent: agent.name, id, lease };
  const about = { event: event.id, action: event.action, attempt };
  const lost = new AbortController();
  const keeping = keepLease({
    leaseSeconds,
    extend: () => client.extendDelivery(held, leaseSeconds),
    onLost: (fault) => lost.abort(fault),
    onTrouble: (because) => log.warn('a lease could not be extended', { ...about, because }),
  });
  tally.working_on = event.id;
  tally.last_heard_at = rfc3339(clock());
  let end: Conclusion['end'];
  try {
    end = await conclude(work, event, AbortSignal.any([lost.signal, hardStop]));
  } finally {
    await keeping.stop();
    if (tally.working_on === event.id) tally.working_on = null;
  }
  if (lost.signal.aborted)
    log.warn('the lease was lost; it comes again', { ...about, because: reasonOf(lost.signal.reason) });
  else await settle(work, held, end, about);
}

/** Reacts, and publishes what is said. Whatever goes wrong is a reason to give it back. */
async function conclude(work: Work, event: Event, signal: AbortSignal): Promise<Conclusion['end']> {
  try {
    const { says, end } = await reactOrCut(work, event, signal);
    for (const draft of draftsOf(speakerOf(work.agent), event, says))
      await publishPatiently(work.client, draft, { signal, patienceMs: publishPatienceMs });
    return end;
  } catch (error) {
    // Nothing is wrong with the event, so it need not wait.
    if (signal.aborted) return { kind: 'again', because: reasonOf(signal.reason), afterSeconds: 0 };
    // A call would be done again and again for what its token may never tell.
    const isMute = work.agent.speaksAs !== undefined && error instanceof Fault && error.code === 'forbidden';
    if (isMute) return { kind: 'never', because: reasonOf(error) };
    return { kind: 'again', because: reasonOf(error) };
  }
}

async function reactOrCut(work: Work, event: Event, signal: AbortSignal): Promise<Conclusion> {
  const { agent, client, tally, options } = work;
  const again = patiently({ signal, clock: options.clock });
  const verdict = judge(speakerOf(agent), event, await again(settlePatienceMs, () => ancestorsOf(client, event)));
  // Where a person has answered in between, nothing goes round by itself.
  const isAnswer = event.source_agent === busAgent && event.action === busActions.humanResponded;
  if (verdict.kind === 'react' || (isAnswer && agent.speaksAs !== undefined)) return react(agent, event, signal);
  tally.loops_cut++;
  options.log.warn('cut a loop', { event: event.id, action: event.action, because: verdict.because });
  return done(...(verdict.report ? [verdict.report] : []), ...(agent.onCut?.(event) ?? []));
}

async function react(agent: Agent, event: Event, signal: AbortSignal): Promise<Conclusion> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(agent.longestMs);
  const either = AbortSignal.any([signal, limit]);
  const left = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => left.reject(either.reason), lettingGoMs);
  };
  either.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([agent.react(event, either), left.promise]);
  } catch (error) {
    if (!limit.aborted || signal.aborted) throw error;
    throw new Fault('unavailable', `${agent.name} took longer than ${agent.longestMs / 1000} s.`, { cause: error });
  } finally {
    clearTimeout(timer);
    either.removeEventListener('abort', onAbort);
  }
}

type Held = { agent: string; id: string; lease: string };

/** Says what became of a delivery. Where that cannot be said, it comes again. */
async function settle(work: Work, held: Held, end: Conclusion['end'], about: Record<string, unknown>): Promise<void> {
  const { client, tally, hardStop } = work;
  const { log, clock } = work.options;
  const patient = patiently({ signal: hardStop, clock });
  try {
    if (end.kind === 'done') {
      await patient(settlePatienceMs, () => client.ackDelivery(held));
      tally.handled++;
      return log.info('done', about);
    }
    const reason = end.because.slice(0, maxReasonLength).toWellFormed();
    const nack = end.kind === 'never' ? { reason, dead: true } : { reason, delay_seconds: end.afterSeconds ?? null };
    const { status, ready_at } = await patient(settlePatienceMs, () => client.nackDelivery(held, nack));
    if (status === 'dead') tally.dead_lettered++;
    else tally.given_back++;
    log.warn(status === 'dead' ? 'a dead letter' : 'given back', { ...about, reason, ready_at });
  } catch (error) {
    log.warn('what became of it could not be said; it may come again', { ...about, because: reasonOf(error) });
  }
}
