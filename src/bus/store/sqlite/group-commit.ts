import { Fault } from '../../../base/fault.ts';
import type { StoreObserver } from '../store.ts';
import { type BatchResult, type Command, type Committed, type Outcome, weightOf } from './commands.ts';
import { faultOf } from './sqlite-fault.ts';

/**
 * Events in one transaction, a large one counting for several and any other command as one. More wait for the next; one
 * command is never split.
 */
const maxBatch = 1000;
/** Events that may wait. Beyond this the sender is told to come back (429). */
const maxWaiting = 20_000;

/** Hands a batch to whoever writes, here or in another thread. */
export type CommitBatch = (commands: readonly Command[]) => Promise<BatchResult>;

export type GroupCommit = {
  /** Settles once the command is on disk, or rejects with a Fault and nothing is stored. */
  run<T>(command: Command): Promise<T>;
  /** Commands that wait for the batch under way to end. */
  waiting(): number;
  /** Resolves when everything that was accepted has settled; refuses what comes after. */
  drain(): Promise<void>;
};

type Waiting = { command: Command; resolve: (value: never) => void; reject: (reason: Error) => void };

/**
 * Commits together what arrives together: while one transaction is being written, everything that arrives waits and goes
 * into the next. On a slow disk this is what makes the difference.
 */
export function groupCommit(
  commitBatch: CommitBatch,
  onCommitted: (committed: Committed) => void,
  observer?: StoreObserver,
): GroupCommit {
  let waiting: Waiting[] = [];
  let waitingWeight = 0;
  let isWriting = false;
  let isClosed = false;
  let drained: (() => void)[] = [];

  /** Writes what waits, and then what came meanwhile. Returns at once. */
  function writeNext(): void {
    const batch = waitingWeight <= maxBatch ? waiting : waiting.slice(0, fitting(waiting));
    waiting = batch === waiting ? [] : waiting.slice(batch.length);
    waitingWeight = waiting.length === 0 ? 0 : waitingWeight - weigh(batch);
    isWriting = batch.length > 0;
    if (!isWriting) {
      for (const done of drained) done();
      drained = [];
      return;
    }
    const began = performance.now();
    commitBatch(batch.map((w) => w.command)).then(
      (result) => {
        observer?.batch(batch.length, (performance.now() - began) / 1000);
        // The next batch is under way before these callers are answered: the writer works while the answers go out.
        writeNext();
        settle(batch, result);
      },
      (error) => {
        const fault =
          error instanceof Fault
            ? error
            : new Fault('unavailable', 'The writer of the database has died.', { cause: error });
        for (const w of batch) w.reject(fault);
        writeNext();
      },
    );
  }

  function settle(batch: readonly Waiting[], { outcomes, committed }: BatchResult): void {
    if (committed) onCommitted(committed);
    for (const [i, w] of batch.entries()) {
      const outcome = outcomes[i];
      if (outcome) observer?.command(w.command.op, wordFor(outcome));
      if (outcome && 'value' in outcome) w.resolve(outcome.value as never);
      else if (outcome) w.reject(faultOf(outcome.fault));
    }
  }

  return {
    waiting: () => waiting.length,
    run(command) {
      if (isClosed) return Promise.reject(new Fault('unavailable', 'The bus is stopping; nothing was stored.'));
      if (waitingWeight >= maxWaiting)
        return Promise.reject(
          new Fault('queue-full', 'All writes that may wait for the disk do; nothing was stored.', {
            hint: 'Send it again in a moment. If this lasts, look at the disk.',
          }),
        );
      return new Promise((resolve, reject) => {
        waiting.push({ command, resolve, reject });
        waitingWeight += weightOf(command);
        if (isWriting) return;
        isWriting = true;
        setImmediate(writeNext);
      });
    },
    drain() {
      isClosed = true;
      return isWriting ? new Promise((done) => drained.push(done)) : Promise.resolve();
    },
  };
}

function wordFor(outcome: Outcome): string {
  if ('fault' in outcome) return outcome.fault.code;
  return (outcome.value as { kind?: string } | undefined)?.kind ?? 'done';
}

/** How many from the front go into one transaction: at least one. */
function fitting(waiting: readonly Waiting[]): number {
  let weight = 0;
  for (const [i, { command }] of waiting.entries()) {
    weight += weightOf(command);
    if (weight > maxBatch) return Math.max(1, i);
  }
  return waiting.length;
}

function weigh(batch: readonly Waiting[]): number {
  return batch.reduce((weight, { command }) => weight + weightOf(command), 0);
}
