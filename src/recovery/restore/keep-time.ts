import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { childEnv } from '../source/child-env.ts';

/** Gives a folder back the time of change it had, to the nanosecond; Node itself sets times to the microsecond only. */
export async function keepTime(folder: string, mtimeNs: bigint): Promise<void> {
  await promisify(execFile)('touch', ['-m', '-d', touchTime(mtimeNs), '--', folder], { env: childEnv });
}

/** As touch takes it; before 1970 with a sign. */
export function touchTime(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  return `@${ns < 0n ? '-' : ''}${size / 1_000_000_000n}.${String(size % 1_000_000_000n).padStart(9, '0')}`;
}
