import { Fault, reasonOf } from '../../base/fault.ts';
import { entryOf } from '../two-factor/enrolment.ts';
import type { HandlerDeps } from './handle-request.ts';
import type { Operation } from './operation.ts';
import { sentenceOf } from './phone-fault.ts';
import { pendingReply, titleOf } from './phone-words.ts';
import { resolveRestore } from './resolve-restore.ts';

/** So long an operation waits for its code. */
const codeWithinMs = 5 * 60_000;
/** From then on whoever asked is told that it is being looked at. */
const slowMs = 8_000;
/** After a fault of the disk. */
const againMs = 5_000;

/** Finds what restores would be done from, beside everything else: who holds a backup far away may answer late, or never. */
export type Resolver = {
  /** Begins with one that is to be resolved; ends what is not wanted any more. */
  look(current: Operation | undefined): void;
  /** Resolves when nothing is being resolved. */
  resolving(): Promise<void>;
};

type Resolving = { id: string; stop: AbortController; beganMs: number; isTold: boolean; promise: Promise<void> };

export function resolverOf(deps: HandlerDeps): Resolver {
  const { clock, replies, log } = deps;
  let now: Resolving | undefined;
  let failedMs = Number.NEGATIVE_INFINITY;
  const begin = (operation: Operation) => {
    const one = { id: operation.id, stop: new AbortController(), beganMs: clock(), isTold: false };
    const resolving: Resolving = { ...one, promise: Promise.resolve() };
    now = resolving;
    resolving.promise = resolve(deps, operation, AbortSignal.any([one.stop.signal, deps.signal]))
      .catch((error: unknown) => {
        failedMs = clock();
        log.error('a restore could not be prepared for now', { id: one.id, because: reasonOf(error) });
      })
      .finally(() => {
        if (now === resolving) now = undefined;
      });
  };
  return {
    look(current) {
      const wanted = current?.state === 'resolving' ? current : undefined;
      if (now !== undefined && now.id !== wanted?.id) {
        now.stop.abort();
        now = undefined;
      }
      if (wanted === undefined) return;
      if (now === undefined) {
        if (Math.abs(clock() - failedMs) >= againMs) begin(wanted);
      } else if (!now.isTold && clock() - now.beganMs >= slowMs) {
        now.isTold = true;
        const lines = ['That takes longer than usual. You will be asked for the code; /cancel ends it.'];
        replies.say({ to: wanted.user, title: titleOf(wanted), lines });
      }
    },
    resolving: async () => now?.promise,
  };
}

async function resolve(deps: HandlerDeps, operation: Operation, signal: AbortSignal): Promise<void> {
  const { callFor, operations, clock, finish, pause } = deps;
  const { id, target } = operation;
  const silent = { say: () => undefined, progress: () => undefined };
  // What comes after it was cancelled, or while this process ends, is nobody's any more.
  const isWanted = () => !signal.aborted && operations.current()?.id === id;
  try {
    const { parts, lines } = await resolveRestore(callFor([target], {}, { ...silent, signal }), target);
    if (!isWanted()) return;
    const expiresMs = clock() + codeWithinMs;
    const asking = operations.put({ ...operation, parts, state: 'pending', expiresMs, asks: lines });
    pause('phone found');
    showQuestion(deps, asking);
    pause('phone resolved');
  } catch (error) {
    if (!isWanted()) return;
    if (!(error instanceof Fault)) throw error;
    finish(operation, 'refused', sentenceOf(error, target));
  }
}

/** Asks for the code of what is resolved; also what a runner before this one could not say any more. */
export function showQuestion(
  { replies, operations, clock, callFor }: Pick<HandlerDeps, 'replies' | 'operations' | 'clock' | 'callFor'>,
  operation: Operation,
): void {
  const { asks } = operation;
  if (asks === null) return;
  const entry = entryOf(callFor([], {}).config().emergency, operation);
  replies.say(pendingReply(operation, asks, clock(), entry));
  operations.put({ ...operation, asks: null });
}
