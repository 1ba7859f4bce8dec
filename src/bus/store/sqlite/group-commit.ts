import { Fault } from '../../../base/fault.ts';
import type { BatchResult, Command, Committed } from './commands.ts';
import { faultOf } from './sqlite-fault.ts';

/** Commands in one transaction. More wait for the next one. */
const maxBatch = 1000;
/** Commands that may wait. Beyond this the sender is told to come back (429). */
const maxWaiting = 20_000;

/** Hands a batch to whoever writes, here or in another thread. */
export type CommitBatch = (commands: readonly Command[]) => Promise<BatchResult>;

export type GroupCommit = {
  /** Settles once the command is on disk, or rejects with a Fault and nothing is stored. */
  run<T>(command: Command): Promise<T>;
  /** Resolves when everything that was accepted has settled; refuses what comes after. */
  drain(): Promise<void>;
};

type Waiting = { command: Command; resolve: (value: never) => void; reject: (fault: Fault) => void };

/**
 * Commits together what arrives together: while one transaction is being written, everything that arrives waits and goes
 * into the next. On a slow disk this is what makes the difference.
 */
export function groupCommit(commitBatch: CommitBatch, onCommitted: (committed: Committed) => void): GroupCommit {
  let waiting: Waiting[] = [];
  let isWriting = false;
  let isClosed = false;
  let drained: (() => void)[] = [];

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.length <= maxBatch ? waiting : waiting.slice(0, maxBatch);
      waiting = batch === waiting ? [] : waiting.slice(maxBatch);
      await writeOne(batch);
    }
    isWriting = false;
    for (const done of drained) done();
    drained = [];
  }

  async function writeOne(batch: readonly Waiting[]): Promise<void> {
    let result: BatchResult;
    try {
      result = await commitBatch(batch.map((w) => w.command));
    } catch (error) {
      const fault =
        error instanceof Fault
          ? error
          : new Fault('unavailable', 'The writer of the database has died.', { cause: error });
      for (const w of batch) w.reject(fault);
      return;
    }
    if (result.committed) onCommitted(result.committed);
    for (const [i, w] of batch.entries()) {
      const outcome = result.outcomes[i];
      if (outcome && 'value' in outcome) w.resolve(outcome.value as never);
      else if (outcome) w.reject(faultOf(outcome.fault));
    }
  }

  return {
    run(command) {
      if (isClosed) return Promise.reject(new Fault('unavailable', 'The bus is stopping; nothing was stored.'));
      if (waiting.length >= maxWaiting)
        return Promise.reject(
          new Fault('queue-full', `${maxWaiting} writes are waiting for the disk; nothing was stored.`, {
            hint: 'Send it again in a moment. If this lasts, look at the disk.',
          }),
        );
      return new Promise((resolve, reject) => {
        waiting.push({ command, resolve, reject });
        if (isWriting) return;
        isWriting = true;
        setImmediate(writeAll);
      });
    },
    drain() {
      isClosed = true;
      return isWriting ? new Promise((done) => drained.push(done)) : Promise.resolve();
    },
  };
}
