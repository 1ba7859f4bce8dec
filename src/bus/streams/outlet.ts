import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The way out to one reader of a stream. */
export type Outlet = {
  /** Hands bytes over; what the reader does not take yet waits in memory, so look at `unsent` first. */
  write(bytes: Buffer | string): void;
  /** Bytes that wait for the reader. */
  readonly unsent: number;
  /** Whether more should wait until `drained`. */
  readonly lags: boolean;
  /** Resolves when the reader has taken everything, and when it is gone. */
  drained(): Promise<void>;
  /** Says the last word, and closes the connection once that has gone out. */
  end(last: string): void;
  /** Calls once when the reader is gone, also one that is gone already. */
  whenClosed(act: () => void): void;
  /** Whether nothing more can be said. */
  readonly isClosed: boolean;
};

/** A caller can send some requests along before it reads the first answer, and each may be a stream. */
const maxListeners = 50;

/**
 * The outlet of an answer whose head is written. A caller that ends its sending is taken for gone: an answer without an
 * end cannot wait to see whether it still reads.
 */
export function outletOf(response: ServerResponse, socket: Socket): Outlet {
  const whenClosed: (() => void)[] = [];
  let whenDrained: (() => void)[] = [];
  let isGone = response.closed || socket.destroyed;
  const drain = () => {
    const waiting = whenDrained;
    whenDrained = [];
    for (const go of waiting) go();
  };
  const hangUp = () => void socket.destroy();
  // Node says of a closed connection only that the answer being written is over, not of those behind it.
  const close = () => {
    if (isGone) return;
    isGone = true;
    socket.off('end', hangUp).off('close', close);
    drain();
    for (const act of whenClosed) act();
  };
  response.on('drain', drain).once('close', close);
  // A write to a reader who has just gone is no fault; the close follows.
  response.on('error', () => undefined);
  socket.setMaxListeners(maxListeners).once('end', hangUp).once('close', close);
  if (socket.readableEnded) hangUp();
  const isClosed = () => isGone || response.writableEnded;
  return {
    write(bytes) {
      if (!isClosed()) response.write(bytes);
    },
    get unsent() {
      return response.writableLength;
    },
    get lags() {
      return response.writableNeedDrain;
    },
    drained: () =>
      isGone || !response.writableNeedDrain ? Promise.resolve() : new Promise((go) => whenDrained.push(go)),
    end(last) {
      if (!isClosed()) response.end(last);
    },
    whenClosed(act) {
      if (isGone) act();
      else whenClosed.push(act);
    },
    get isClosed() {
      return isClosed();
    },
  };
}
