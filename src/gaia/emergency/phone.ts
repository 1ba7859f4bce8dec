import { Fault, reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import { isStale, startOf, waitAnew } from './begin-waiting.ts';
import type { CallMaker } from './carry-out.ts';
import { everybody } from './everybody.ts';
import { handlerOf } from './handle-request.ts';
import type { Operation, Operations, OutcomeKind } from './operation.ts';
import { sentenceOf } from './phone-fault.ts';
import { titleOf } from './phone-words.ts';
import type { Replies } from './replies.ts';
import { resolverOf, showQuestion } from './resolve-beside.ts';
import type { Spool } from './spool.ts';
import { dropRequest, takeRequests } from './take-requests.ts';
import { workerOf } from './worker.ts';

export type PhoneDeps = {
  spool: Spool;
  operations: Operations;
  replies: Replies;
  callFor: CallMaker;
  /** Who may ask now. @throws Fault */
  users(): ReadonlySet<number>;
  clock(): number;
  log: Log;
  /** The process that restores, and what it has started, end at once. */
  endGroup(pid: number): void;
  signal: AbortSignal;
  /** See the recovery engine; does nothing in earnest. */
  pause(point: string): void;
};

export type Phone = {
  /** Takes what was asked, and lets happen what is due. Never throws for what somebody asked. */
  tick(): Promise<void>;
  /** Resolves when what works now has ended, or at once. */
  working(): Promise<void>;
  /** The same of what looks for a backup. */
  resolving(): Promise<void>;
};

const sweepEveryMs = 3_600_000;
const noAnswer =
  'Its backup could not be looked at within 5 min: what holds it does not answer. On the server: gaia plan shows more.';

/** The runner: everything that is asked by phone comes through here, one after the other, and nothing of it takes long. */
export function openPhone(deps: PhoneDeps): Phone {
  const { operations, replies, clock } = deps;
  const end = (operation: Operation, kind: OutcomeKind, says: string) => finish(deps, operation, kind, says);
  const take = intake(deps, handlerOf({ ...deps, finish: end }));
  const worker = workerOf({ ...deps, finish: end });
  const resolver = resolverOf({ ...deps, finish: end });
  let sweptMs = 0;
  for (const ended of operations.untold()) tellEnd(deps, ended);
  const unsaid = operations.current();
  if (unsaid?.state === 'pending') showQuestion(deps, unsaid);
  rearm(deps);

  function due(operation: Operation): void {
    const now = clock();
    const { state, expiresMs } = operation;
    if (state === 'pending' && now >= expiresMs) end(operation, 'expired', '');
    else if (state === 'resolving' && now >= expiresMs) end(operation, 'refused', noAnswer);
    else if (state === 'waiting') start(operation);
    else if (state === 'running') worker.look(operation);
  }

  function start(operation: Operation): void {
    const judged = startOf(deps, operation);
    if (judged.kind === 'begins') worker.begin(operation);
    else if (judged.kind === 'ended') end(operation, judged.as, judged.says);
  }

  return {
    async tick() {
      try {
        await take();
      } finally {
        // What runs is looked at also where nothing can be taken, or no answer written.
        const current = operations.current();
        if (current !== undefined) due(current);
        resolver.look(operations.current());
      }
      if (clock() - sweptMs < sweepEveryMs) return;
      sweptMs = clock();
      replies.sweep();
      operations.sweep(clock());
    },
    working: worker.working,
    resolving: resolver.resolving,
  };
}

/** Takes each file once; what is no request is told once for each reason. */
function intake({ spool, replies, log, pause }: PhoneDeps, handle: ReturnType<typeof handlerOf>): () => Promise<void> {
  const told = new Set<string>();
  return async () => {
    for (const taken of takeRequests(spool.requests)) {
      if ('refused' in taken) {
        if (!told.has(taken.refused)) log.warn('a file in the spool is no request', { because: taken.refused });
        told.add(taken.refused);
      } else
        try {
          await handle(taken.request);
        } catch (error) {
          const { user, verb } = taken.request;
          if (!(error instanceof Fault)) log.error('a request failed', { verb, because: reasonOf(error) });
          const says = error instanceof Fault ? sentenceOf(error, '') : `This is a fault of ours: ${reasonOf(error)}`;
          replies.say({ to: user, lines: says.split('\n') });
        }
      pause('phone answered');
      dropRequest(spool.requests, taken.name);
    }
  };
}

/** After a time without a runner nobody could press Stop: what waits, waits anew, unless that is too long ago. */
function rearm(deps: PhoneDeps): void {
  const operation = deps.operations.current();
  if (operation?.state !== 'waiting' || operation.target === 'dev' || isStale(operation, deps.clock())) return;
  waitAnew(deps, operation, 'The runner was started anew.');
}

/** The end of an operation, on disk, and then told to everybody who may ask. */
function finish(deps: PhoneDeps, operation: Operation, kind: OutcomeKind, says: string): void {
  const { operations, clock, log, pause } = deps;
  const { id, verb, target, user } = operation;
  const isQuiet = ['resolving', 'pending'].includes(operation.state) || verb !== 'restore';
  const outcome = { kind, says, atMs: clock(), toTell: isQuiet ? [user] : everybody(deps, operation) };
  const ended = operations.put({ ...operation, state: 'ended', outcome });
  pause('phone ended');
  log.info('an operation ended', { id, verb, target, outcome: kind });
  tellEnd(deps, ended);
}

/** A kill in between makes it be told twice, and never not at all. */
function tellEnd({ operations, replies }: PhoneDeps, ended: Operation): void {
  const { id, outcome, verb, parts } = ended;
  if (outcome === null) return;
  const { kind, says, toTell } = outcome;
  for (const to of toTell) {
    // Nothing with a button was shown of a restore before its backup was known.
    const isSeen = verb !== 'restore' || parts.length > 0;
    // What became of it is a message of its own, so that the phone rings; the one with the buttons loses them.
    if (kind !== 'replaced' || !isSeen)
      replies.say({ to, title: titleOf(ended), lines: says === '' ? [] : says.split('\n') });
    if (isSeen) replies.progress(id, { to, key: id, title: titleOf(ended), lines: [], buttons: [] });
  }
  operations.put({ ...ended, outcome: { ...outcome, toTell: [] } });
}
