import { Fault } from '../../base/fault.ts';
import { goaway } from './frames.ts';
import type { Outlet } from './outlet.ts';

export type StreamLimits = {
  /** Streams at the same time, of every kind. */
  maxStreams: number;
  /** Between two signs of life, without which proxies and readers take a stream for dead. */
  heartbeatMs: number;
};

export const usualLimits: StreamLimits = { maxStreams: 2_000, heartbeatMs: 15_000 };

/** Readers that get their heartbeat in one go; the others follow after whoever waits. */
const beatsAtOnce = 100;
/** How long a stop waits for readers to take their last word. */
const maxFarewellMs = 1_000;

export type OpenStream = {
  outlet: Outlet;
  /** The sign of life for this reader, now. */
  beat(): string;
  /** Called once when the reader is gone; a stop waits for it. */
  left?(): Promise<void> | undefined;
};

/** All streams that are open: how many there may be, their heartbeat, and their last word. */
export type OpenStreams = {
  readonly count: number;
  /** @throws Fault `queue-full`, or `unavailable` when the bus is stopping */
  requireRoom(): void;
  /** Counts a stream in until its reader is gone. False when it is gone already, or has been ended for want of room. */
  add(stream: OpenStream): boolean;
  /** Tells every reader to go away, and waits a moment until they have. Refuses those who come after. Safe to repeat. */
  close(): Promise<void>;
};

export function openStreams({ maxStreams, heartbeatMs }: StreamLimits): OpenStreams {
  const open = new Set<OpenStream>();
  const leaving = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let isStopping = false;
  let whenEmpty: (() => void) | undefined;

  const refusal = (): Fault | undefined => {
    if (isStopping) return new Fault('unavailable', 'The bus is stopping.', { hint: 'Connect again in a moment.' });
    if (open.size < maxStreams) return undefined;
    return new Fault('queue-full', `${maxStreams} streams are open, which is the limit.`, {
      hint: 'End some that nobody reads, or read with GET /events in between.',
    });
  };

  function beatAll(all: readonly OpenStream[], from: number): void {
    // One who lags has more than a heartbeat coming; when nothing moves for long, the connection is cut.
    for (const stream of all.slice(from, from + beatsAtOnce))
      if (!stream.outlet.isClosed && !stream.outlet.lags) stream.outlet.write(stream.beat());
    if (from + beatsAtOnce < all.length) setImmediate(() => beatAll(all, from + beatsAtOnce));
  }

  function remove(stream: OpenStream): void {
    open.delete(stream);
    if (open.size === 0) {
      clearInterval(timer);
      timer = undefined;
      whenEmpty?.();
    }
    const left = stream.left?.();
    if (left === undefined) return;
    leaving.add(left);
    void left.finally(() => leaving.delete(left));
  }

  return {
    get count() {
      return open.size;
    },
    requireRoom() {
      const refused = refusal();
      if (refused) throw refused;
    },
    add(stream) {
      const refused = refusal();
      if (refused) {
        stream.outlet.end(goaway(refused.message));
        return false;
      }
      if (stream.outlet.isClosed) return false;
      open.add(stream);
      timer ??= setInterval(() => beatAll([...open], 0), heartbeatMs).unref();
      stream.outlet.whenClosed(() => remove(stream));
      return true;
    },
    async close() {
      isStopping = true;
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve;
        if (open.size === 0) resolve();
      });
      for (const { outlet } of open) outlet.end(goaway('The bus is stopping.'));
      let late: NodeJS.Timeout | undefined;
      await Promise.race([empty, new Promise<void>((resolve) => (late = setTimeout(resolve, maxFarewellMs)))]);
      clearTimeout(late);
      await Promise.all(leaving);
    },
  };
}
