import { Fault, reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import { type CallMaker, sentenceOf } from './carry-out.ts';
import { delayMs } from './confirm-code.ts';
import { handlerOf } from './handle-request.ts';
import type { Operation, Operations, OutcomeKind } from './operation.ts';
import { cancelButton, titleOf } from './phone-words.ts';
import type { Replies } from './replies.ts';
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
};

const sweepEveryMs = 3_600_000;

/** The runner: everything that is asked by phone comes through here, one after the other. */
export function openPhone(deps: PhoneDeps): Phone {
  const { operations, replies, clock } = deps;
  const end = (operation: Operation, kind: OutcomeKind, says: string) => finish(deps, operation, kind, says);
  const take = intake(deps, handlerOf({ ...deps, finish: end }));
  const worker = workerOf({ ...deps, finish: end });
  let sweptMs = 0;
  for (const ended of operations.untold()) tellEnd(deps, ended);
  rearm(deps);

  function due(operation: Operation): void {
    const now = clock();
    const { state, stopping, expiresMs, startMs } = operation;
    if (state === 'pending' && now >= expiresMs) end(operation, 'expired', '');
    else if (state === 'waiting' && stopping) end(operation, 'cancelled', '');
    else if (state === 'waiting' && now >= (startMs as number)) worker.begin(operation);
    else if (state === 'running') worker.look(operation);
  }

  return {
    async tick() {
      await take();
      const current = operations.current();
      if (current !== undefined) due(current);
      if (clock() - sweptMs < sweepEveryMs) return;
      sweptMs = clock();
      replies.sweep();
      operations.sweep(clock());
    },
    working: worker.working,
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
          const says = error instanceof Fault ? sentenceOf(error) : `This is a fault of ours: ${reasonOf(error)}`;
          replies.say({ to: user, lines: says.split('\n') });
        }
      pause('phone answered');
      dropRequest(spool.requests, taken.name);
    }
  };
}

/** After a time without a runner nobody could press Stop: what waits, waits anew. */
function rearm({ operations, replies, clock, users }: PhoneDeps): void {
  const operation = operations.current();
  if (operation?.state !== 'waiting' || operation.target === 'dev') return;
  operations.put({ ...operation, startMs: clock() + delayMs });
  for (const user of users())
    replies.progress(operation.id, {
      ...{ to: user, key: operation.id, title: titleOf(operation) },
      lines: ['The runner was started anew. It begins in 60 s.'],
      buttons: [cancelButton(operation, 'Stop')],
    });
}

/** The end of an operation, on disk, and then told to everybody who may ask. */
function finish(deps: PhoneDeps, operation: Operation, kind: OutcomeKind, says: string): void {
  const { operations, clock, users, log, pause } = deps;
  const { id, verb, target, user } = operation;
  const isQuiet = operation.state === 'pending' || verb !== 'restore';
  const outcome = { kind, says, atMs: clock(), toTell: isQuiet ? [user] : [...users()] };
  const ended = operations.put({ ...operation, state: 'ended', outcome });
  pause('phone ended');
  log.info('an operation ended', { id, verb, target, outcome: kind });
  tellEnd(deps, ended);
}

/** A kill in between makes it be told twice, and never not at all. */
function tellEnd({ operations, replies }: PhoneDeps, ended: Operation): void {
  const { id, outcome } = ended;
  if (outcome === null) return;
  const { kind, says, toTell } = outcome;
  for (const to of toTell) {
    // What became of it is a message of its own, so that the phone rings; the one with the buttons loses them.
    if (kind !== 'replaced') replies.say({ to, title: titleOf(ended), lines: says === '' ? [] : says.split('\n') });
    replies.progress(id, { to, key: id, title: titleOf(ended), lines: [], buttons: [] });
  }
  operations.put({ ...ended, outcome: { ...outcome, toTell: [] } });
}
