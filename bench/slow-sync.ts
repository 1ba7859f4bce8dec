import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export type SlowSync = { env: Record<string, string>; tookEffect(): boolean };

/** Compiles the shim that makes each sync take longer. A sentence when there is no compiler. */
export function slowSync(folder: string, us: number): SlowSync | string {
  const shim = join(folder, 'slow-sync.so');
  const proof = join(folder, 'slow-sync-was-here');
  try {
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', shim, join(import.meta.dirname, 'slow-sync.c'), '-ldl']);
  } catch {
    return 'syncs cannot be slowed: no gcc (apt-get install gcc libc6-dev)';
  }
  return {
    env: { LD_PRELOAD: shim, SLOW_SYNC_US: String(us), SLOW_SYNC_PROOF: proof },
    tookEffect: () => existsSync(proof),
  };
}
