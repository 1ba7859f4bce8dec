import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that are worked on at a time. More that were sent along wait until an answer has gone out. */
const maxPipelined = 16;
/** Bytes of answers that nobody has read yet, over all connections. Beyond them a large answer is refused. */
const maxUnreadBytes = 256 * 1024 * 1024;
const largeBytes = 64 * 1024;

/** What is under way: so that nobody who sends much and reads nothing takes all memory, and that a stop can wait. */
export type Traffic = {
  /** Requests that have arrived and whose answer has not gone out. */
  inFlight(): number;
  /** Counts a request in until its answer has gone out, and calls `go` when it is its turn: mostly at once. */
  enter(request: IncomingMessage, response: ServerResponse, go: () => void): void;
  /** Takes an answer that has no end out of what a stop waits for. Its place in the order of its connection it keeps. */
  endless(socket: Socket, response: ServerResponse): void;
  /** Whether an answer of this size may be queued for its reader; if so, it counts until it has gone out. */
  mayQueue(socket: Socket, response: ServerResponse, bytes: number): boolean;
  /**
   * Calls when no answer is owed on this connection, on which nothing more can arrive: mostly at once, never when it
   * closes before. A request that had not arrived whole is owed none.
   */
  whenQuiet(socket: Socket, act: () => void): void;
};

/** One connection. */
type Lane = {
  inFlight: number;
  /** Those of them that have no end. */
  endless: number;
  waiting: (() => void)[];
  unread: Map<ServerResponse, number>;
  newest: IncomingMessage | undefined;
  whenQuiet: (() => void) | undefined;
  isClosed: boolean;
};

export function makeTraffic(): Traffic {
  const lanes = new WeakMap<Socket, Lane>();
  let inFlight = 0;
  let unreadBytes = 0;
  const endless = new WeakSet<ServerResponse>();

  function laneOf(socket: Socket): Lane {
    const known = lanes.get(socket);
    if (known) return known;
    const lane: Lane = {
      inFlight: 0,
      endless: 0,
      waiting: [],
      unread: new Map(),
      newest: undefined,
      whenQuiet: undefined,
      isClosed: false,
    };
    lanes.set(socket, lane);
    // Node says of a closed connection only that the answer being written is over, not of those behind it.
    socket.once('close', () => {
      lane.isClosed = true;
      inFlight -= lane.inFlight - lane.endless;
      for (const bytes of lane.unread.values()) unreadBytes -= bytes;
      lane.waiting = [];
      lane.unread.clear();
    });
    return lane;
  }

  function leave(lane: Lane, response: ServerResponse): void {
    if (lane.isClosed) return;
    if (endless.delete(response)) lane.endless--;
    else inFlight--;
    lane.inFlight--;
    const bytes = lane.unread.get(response);
    if (bytes !== undefined) {
      unreadBytes -= bytes;
      lane.unread.delete(response);
    }
    lane.waiting.shift()?.();
    if (lane.whenQuiet && owed(lane) === 0) lane.whenQuiet();
  }

  return {
    inFlight: () => inFlight,
    enter(request, response, go) {
      const lane = laneOf(request.socket);
      lane.newest = request;
      inFlight++;
      lane.inFlight++;
      response.once('close', () => leave(lane, response));
      if (lane.inFlight <= maxPipelined) go();
      else lane.waiting.push(go);
    },
    endless(socket, response) {
      const lane = laneOf(socket);
      if (lane.isClosed) return;
      endless.add(response);
      lane.endless++;
      inFlight--;
    },
    mayQueue(socket, response, bytes) {
      if (bytes < largeBytes) return true;
      if (unreadBytes + bytes > maxUnreadBytes) return false;
      const lane = laneOf(socket);
      if (lane.isClosed) return true;
      lane.unread.set(response, bytes);
      unreadBytes += bytes;
      return true;
    },
    whenQuiet(socket, act) {
      const lane = lanes.get(socket);
      if (lane === undefined || owed(lane) === 0) act();
      else lane.whenQuiet = act;
    },
  };
}

function owed({ inFlight, newest }: Lane): number {
  return Math.max(0, inFlight - (newest?.complete ? 0 : 1));
}
