import { reasonOf } from '../../base/fault.ts';
import { isMadeFor } from '../../recovery/run/cause.ts';
import { isAlive } from '../../recovery/run/live-process.ts';
import { statusOf } from '../../recovery/run/status.ts';
import { runnerOf } from '../follow-run.ts';
import { awayMs, carryOut, type Watch } from './carry-out.ts';
import { everybody } from './everybody.ts';
import type { HandlerDeps } from './handle-request.ts';
import { type HowFar, howFar } from './how-far.ts';
import { causeOf, type Operation } from './operation.ts';
import { cancelButton, titleOf } from './phone-words.ts';

type Working = {
  promise: Promise<void>;
  target: string;
  far: HowFar;
  stop: AbortController;
  /** What is taken back already is not stopped again. */
  goesBack: boolean;
  toldMs: number;
};

/** Does the one operation that is under way. */
export type Worker = {
  begin(operation: Operation): void;
  /** Goes on with it after a restart, tells how far it is, stops it when somebody wants that. */
  look(operation: Operation): void;
  working(): Promise<void>;
};

const tellEveryMs = 3_000;
const aliveEveryMs = 60_000;
/** From here on a run goes to its end. */
const leaving = ['swap', 'start', 'health', 'commit', 'take back', 'end'];

export function workerOf(deps: HandlerDeps): Worker {
  const { operations, clock, log, pause } = deps;
  let now: Working | undefined;
  const work = (operation: Operation) => {
    pause('phone works');
    const one = { target: operation.target, far: howFar(operation.target, clock), stop: new AbortController() };
    const working = { ...one, promise: Promise.resolve(), goesBack: false, toldMs: 0 };
    now = working;
    working.promise = carry(deps, operation, working)
      // As on a full disk: it is taken up again, and what was done is done once.
      .catch((error: unknown) => log.error('the end of an operation cannot be kept', { because: reasonOf(error) }))
      .finally(() => {
        now = undefined;
      });
  };
  return {
    begin(operation) {
      pause('phone begins');
      work(operations.put({ ...operation, state: 'running', aliveMs: clock() }));
    },
    look(operation) {
      if (now === undefined) return work(operation);
      if (operation.stopping) stop(deps, operation, now);
      keepAlive(deps, operation);
      if (clock() - now.toldMs < tellEveryMs) return;
      now.toldMs = clock();
      tellHowFar(deps, operation, now);
    },
    working: async () => now?.promise,
  };
}

async function carry(deps: HandlerDeps, { id, verb }: Operation, working: Working): Promise<void> {
  const { operations, callFor, log, finish, pause } = deps;
  const current = () => operations.all().find((each) => each.id === id) as Operation;
  const signal = AbortSignal.any([working.stop.signal, deps.signal]);
  const watch = (target: string): Watch => {
    working.target = target;
    working.far = howFar(target, deps.clock);
    // Of a restore that ends the looking at its backup, or the watching, and never the run.
    return { say: working.far.say, progress: working.far.step, signal: verb === 'backup' ? deps.signal : signal };
  };
  const goesBack = () => {
    working.goesBack = true;
  };
  try {
    const put = (next: Operation) => void operations.put(next);
    const result = await carryOut({ callFor, watch, current, goesBack, put, clock: deps.clock });
    pause('phone worked');
    if (result !== undefined) finish(current(), result.kind, result.says);
  } catch (error) {
    log.error('an operation failed', { id, because: reasonOf(error) });
    finish(current(), 'failed', `This is a fault of ours: ${reasonOf(error)}`);
  }
}

/** Written down now and then, so that a time in which nobody could stop it is known. A gap that is too long stays. */
function keepAlive({ operations, clock }: HandlerDeps, operation: Operation): void {
  const now = clock();
  if (awayMs(operation, now) > 0 || Math.abs(now - (operation.aliveMs ?? 0)) < aliveEveryMs) return;
  operations.put({ ...operation, aliveMs: now });
}

function tellHowFar(deps: HandlerDeps, operation: Operation, { far }: Working): void {
  const { id, verb, user, stopping } = operation;
  const buttons = verb !== 'backup' && !stopping ? [cancelButton(operation, 'Stop')] : [];
  for (const to of verb === 'restore' ? everybody(deps, operation) : [user])
    deps.replies.progress(id, { to, key: id, title: titleOf(operation), lines: [far.line()], buttons });
}

/** The run is ended where it is, and `carryOut` takes it back. Once the swap has begun it goes on. */
function stop({ callFor, endGroup }: HandlerDeps, operation: Operation, working: Working): void {
  if (operation.verb === 'drill') working.stop.abort();
  if (operation.verb !== 'restore' || working.goesBack) return;
  const cause = causeOf(operation, working.target);
  const { place } = callFor([], {}).config();
  const run = statusOf(place).runs.find(({ request, state }) => request.cause === cause && state === 'running');
  // Its backup is still looked at, perhaps where nobody answers.
  if (run === undefined && !isMadeFor(place, cause)) working.stop.abort();
  if (run === undefined || run.inSwap || leaving.includes(run.step)) return;
  const runner = runnerOf(run.folder);
  if (runner !== undefined && isAlive(runner)) endGroup(runner.pid);
}
