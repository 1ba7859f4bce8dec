import type { Clock } from '../base/clock.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { type AuditKeyPair, namedKey, openAuditKey } from './audit-key.ts';
import { type Checkpoint, signCheckpoint } from './store/signed-checkpoint.ts';
import type { Store } from './store/store.ts';

/** A checkpoint is made when so many events, or so much time with any event, have passed since the last. */
export const maxEventsUnsigned = 1000;
export const maxMsUnsigned = 3_600_000;
/** After a failure, so that a full disk is not asked at each event. */
const retryMs = 60_000;

export type Checkpointer = {
  /**
   * Signs what the chain is now, or returns the newest checkpoint when nothing is new; null for an empty log.
   * @throws Fault `unavailable` when there is no key to sign with
   */
  make(): Promise<Checkpoint | null>;
  /** Signs what is new for the last time. Safe to repeat. */
  stop(): Promise<void>;
};

type Chained = Pick<Store, 'epoch' | 'chainEnd' | 'addCheckpoint' | 'noteAuditKey' | 'onCommitted'>;

/** Opens the key of the home, and signs the chain from time to time. Without a usable key the bus runs, and this logs it. */
export async function startCheckpointer(store: Chained, home: string, clock: Clock, log: Log): Promise<Checkpointer> {
  try {
    const pair = openAuditKey(home);
    const noted = await store.noteAuditKey(namedKey(pair));
    if (noted === 'changed') log.warn('checkpoints are signed with a new key', { key: pair.keyId });
    return await signing(store, pair, clock, log);
  } catch (error) {
    log.error('no checkpoints are signed', { reason: reasonOf(error) });
    const refused =
      error instanceof Fault ? error : new Fault('unavailable', 'The bus has no key to sign a checkpoint with.');
    return { make: () => Promise.reject(refused), stop: async () => undefined };
  }
}

async function signing(store: Chained, pair: AuditKeyPair, clock: Clock, log: Log): Promise<Checkpointer> {
  const { seq, checkpoint } = await store.chainEnd();
  let last = { seq: checkpoint?.seq ?? 0, at: checkpoint?.at ?? clock() };
  let head = seq;
  let queue: Promise<unknown> = Promise.resolve();
  let isMaking = false;
  let retryAt = Number.NEGATIVE_INFINITY;

  async function sign(): Promise<Checkpoint | null> {
    const end = await store.chainEnd();
    if (end.hash === null || (end.checkpoint !== null && end.checkpoint.seq >= end.seq)) return end.checkpoint;
    const unsigned = { seq: end.seq, hash: end.hash, at: clock(), epoch: store.epoch, key_id: pair.keyId };
    const made = signCheckpoint(unsigned, pair.privateKey);
    await store.addCheckpoint(made);
    last = { seq: made.seq, at: made.at };
    return made;
  }

  const make = () => {
    const made = queue.then(sign);
    queue = made.catch(() => undefined /* told to whoever asked for it */);
    return made;
  };

  async function makeIfDue(): Promise<void> {
    const isDue = head - last.seq >= maxEventsUnsigned || (head > last.seq && clock() - last.at >= maxMsUnsigned);
    if (isMaking || !isDue || clock() < retryAt) return;
    isMaking = true;
    try {
      await make();
    } catch (error) {
      retryAt = clock() + retryMs;
      log.error('a checkpoint could not be signed', { reason: reasonOf(error) });
    }
    isMaking = false;
  }

  const ignore = store.onCommitted((commit) => {
    head = commit.head;
    if (head - last.seq >= maxEventsUnsigned) void makeIfDue();
  });
  const timer = setInterval(() => void makeIfDue(), retryMs);
  timer.unref();
  let stopped: Promise<void> | undefined;
  return {
    make,
    stop() {
      ignore();
      clearInterval(timer);
      stopped ??= make().then(
        () => undefined,
        (error) => log.error('the last checkpoint could not be signed', { reason: reasonOf(error) }),
      );
      return stopped;
    },
  };
}
