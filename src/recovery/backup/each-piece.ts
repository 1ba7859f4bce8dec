import type { Readable } from 'node:stream';

/** As the pieces come: an iterator of the stream would join those that wait, which copies them. */
export function eachPiece(source: Readable, take: (piece: Buffer) => Promise<void> | undefined | void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      source.destroy();
      reject(error as Error);
    };
    source.on('data', (piece: Buffer) => {
      try {
        const wait = take(piece);
        if (wait === undefined) return;
        source.pause();
        wait.then(() => source.resume(), fail);
      } catch (error) {
        fail(error);
      }
    });
    source.on('end', resolve).on('error', fail);
  });
}
