import { connect, type Socket } from 'node:net';

export type Subscriber = {
  /** Settles once the stream has begun. */
  ready: Promise<void>;
  end(): void;
};

/**
 * Reads a stream of the bus as raw bytes: it only looks for the numbers of the events (`"n":17`), since a real parser for a
 * hundred streams in one process would be slower than what it measures. `hear` gets each number once it is there.
 */
export function subscribe(url: string, path: string, hear: (n: number) => void): Subscriber {
  const { hostname, port } = new URL(url);
  const started = Promise.withResolvers<void>();
  let rest = '';
  const socket: Socket = connect(Number(port), hostname, () => {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAccept: text/event-stream\r\n\r\n`);
  });
  socket.setNoDelay(true);
  socket.setEncoding('latin1');
  socket.on('error', started.reject);
  socket.on('data', (text: string) => {
    rest += text;
    // What is there of the answer's head is there before any event, because nothing is published before all are ready.
    if (rest.includes('\r\n\r\n')) started.resolve();
    let from = 0;
    for (const found of rest.matchAll(/"n":(\d+)[,}]/g)) {
      hear(Number(found[1]));
      from = found.index + found[0].length;
    }
    rest = rest.slice(Math.max(from, rest.length - 200));
  });
  return { ready: started.promise, end: () => socket.destroy() };
}
