import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DumpInto } from '../postgres/dump.ts';

/** Writes a small file of our own into a folder that only we use. */
export function writeOwn(folder: string, path: string, text: string): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
}

/** Takes what a dump prints as files in a folder. */
export function dumpsInto(folder: string): DumpInto['builder'] {
  let fd: number | undefined;
  let hash = createHash('sha256');
  let bytes = 0;
  return {
    async beginUnsized(path) {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      const opened = openSync(file, 'wx', 0o600);
      fd = opened;
      hash = createHash('sha256');
      bytes = 0;
      return {
        async end() {
          fsyncSync(opened);
          closeSync(opened);
          return { bytes, sha256: hash.digest('hex') };
        },
      };
    },
    data(chunk) {
      hash.update(chunk);
      bytes += chunk.length;
      for (let at = 0; at < chunk.length; ) at += writeSync(fd as number, chunk, at);
    },
  };
}

/** SHA-256 (hex) of a file's contents. */
export async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}
