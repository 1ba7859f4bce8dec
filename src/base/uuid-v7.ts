import { randomFillSync } from 'node:crypto';
import type { Clock } from './clock.ts';

const poolBytes = 4096;

/**
 * Makes UUIDs of version 7 (RFC 9562 §5.7) that sort in the order they were made, also within a millisecond and when the
 * clock steps back: the 12 bits after the version count (§6.2, method 1), and a full count borrows the next millisecond.
 */
export function uuidV7Maker(clock: Clock): () => string {
  const pool = Buffer.alloc(poolBytes);
  let used = poolBytes;
  let lastMs = 0;
  let count = 0;
  return () => {
    const now = clock();
    if (now > lastMs) {
      lastMs = now;
      count = 0;
    } else if (++count > 0xfff) {
      lastMs += 1;
      count = 0;
    }
    if (used + 8 > poolBytes) {
      randomFillSync(pool);
      used = 0;
    }
    const random = pool.toString('hex', used, used + 8);
    used += 8;
    const ms = lastMs.toString(16).padStart(12, '0');
    const variant = (8 + (Number.parseInt(random[0] as string, 16) & 3)).toString(16);
    const counter = count.toString(16).padStart(3, '0');
    return `${ms.slice(0, 8)}-${ms.slice(8)}-7${counter}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
  };
}
