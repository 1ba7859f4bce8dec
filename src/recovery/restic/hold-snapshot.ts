import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, renameSync, writeFileSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { localFolder, type ResticRepository } from './repository.ts';
import { type Take, type Taken, takeSnapshot } from './take-snapshot.ts';

/** A snapshot that is still to be taken, of a folder that is not filled yet. */
export type HeldSnapshot = {
  /** Takes it, once the folder holds what it should. @throws Fault */
  take(): Promise<Taken>;
  /** Takes none, and leaves no lock behind. Safe to repeat, and after `take`. */
  drop(): Promise<void>;
};

type Held = Omit<Take, 'exclude' | 'excludeFile' | 'heldUntil' | 'signal'>;

/**
 * Starts restic on folders that must be there and may be empty, and holds it until they are filled. To open a repository it
 * derives a key for half a second, which is over by then. It is held by the file of its patterns, which it reads after that: a
 * fifo at `gate`, until an empty file takes its place. A version that read it earlier would only be no faster. Of a repository
 * elsewhere the connection would lie idle meanwhile, and where there is no fifo nothing can be held: then it starts in `take`.
 */
export function holdSnapshot(at: ResticRepository, held: Held, gate: string): HeldSnapshot {
  const late: HeldSnapshot = { take: () => takeSnapshot(at, held), drop: () => Promise.resolve() };
  if (localFolder(at) === undefined || spawnSync('mkfifo', ['-m', '0600', gate]).status !== 0) return late;
  // For reading too, which waits for nobody.
  const fd = openSync(gate, constants.O_RDWR);
  const released = Promise.withResolvers<void>();
  const dropped = new AbortController();
  let isOpen = true;
  const open = () => {
    if (!isOpen) return;
    isOpen = false;
    // Who has opened the fifo reads its end, and who comes later this file.
    writeFileSync(`${gate}.open`, '', { mode: 0o600 });
    renameSync(`${gate}.open`, gate);
    closeSync(fd);
    released.resolve();
  };
  let failure: unknown;
  const taking = takeSnapshot(at, {
    ...held,
    ...{ excludeFile: gate, heldUntil: released.promise, signal: dropped.signal },
  }).catch((error: unknown) => {
    failure = error;
    return undefined;
  });
  return {
    async take() {
      open();
      const taken = await taking;
      if (taken !== undefined) return taken;
      // Waited for already, and long enough.
      if (failure instanceof Fault && failure.code === 'unreachable') throw failure;
      // It may have ended while it was held. What is wrong with the repository comes again.
      return late.take();
    },
    async drop() {
      if (!isOpen) return;
      dropped.abort();
      await taking;
      isOpen = false;
      closeSync(fd);
      released.resolve();
    },
  };
}
