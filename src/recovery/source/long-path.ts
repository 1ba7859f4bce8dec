import { closeSync, openSync } from 'node:fs';
import { type BytePath, bytesOf } from '../byte-path.ts';

/** What one system call takes, with its NUL, less the room that `/proc/self/fd/N/` needs. */
const maxCallBytes = 4000;

/**
 * Calls `use` with a path that the kernel takes, for something below a root that may lie deeper than PATH_MAX: through a
 * descriptor of a folder on the way. @throws what `use` or opening throws
 */
export function withLongPath<T>(root: string, path: BytePath, use: (path: Buffer) => T): T {
  const base = Buffer.from(root);
  const whole = path === '' || path === '.' ? base : Buffer.concat([base, Buffer.from('/'), bytesOf(path)]);
  return shortened(whole, use);
}

function shortened<T>(path: Buffer, use: (path: Buffer) => T): T {
  if (path.length <= maxCallBytes) return use(path);
  const slash = path.lastIndexOf(0x2f, maxCallBytes);
  if (slash <= 0) return use(path);
  const fd = openSync(path.subarray(0, slash), 'r');
  try {
    const rest = path.subarray(slash + 1);
    return shortened(Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), rest]), use);
  } finally {
    closeSync(fd);
  }
}
