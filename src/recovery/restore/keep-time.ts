import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { childEnv } from '../source/child-env.ts';

/** Gives a folder back the time of change it had, to the nanosecond; Node itself sets times to the microsecond only. */
export async function keepTime(folder: string, mtimeNs: bigint): Promise<void> {
  const seconds = mtimeNs / 1_000_000_000n;
  const rest = String(mtimeNs % 1_000_000_000n).padStart(9, '0');
  await promisify(execFile)('touch', ['-m', '-d', `@${seconds}.${rest}`, '--', folder], { env: childEnv });
}
