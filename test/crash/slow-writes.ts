import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const slowerByUs = 300;

/** The environment under which a bus writes slowly, or undefined where there is no compiler for it. */
export function slowWrites(folder: string): Record<string, string> | undefined {
  const shim = join(folder, 'slow-writes.so');
  try {
    const source = join(import.meta.dirname, 'slow-writes.c');
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', shim, source, '-ldl'], { stdio: 'pipe' });
  } catch {
    return undefined;
  }
  return { LD_PRELOAD: shim, SLOW_WRITE_US: String(slowerByUs) };
}
