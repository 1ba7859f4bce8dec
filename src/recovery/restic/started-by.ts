import { readdirSync, readFileSync } from 'node:fs';
import { identityOf, isAlive } from '../run/live-process.ts';
import { runProgram } from '../source/run-program.ts';

const killWithinMs = 5_000;

/**
 * Remembers what a process has started, as restic its ssh; what that returns ends those that are still there then. ssh that waits
 * for a server which never says a word does not notice that nobody reads it any more.
 */
export function startedBy(pid: number): () => void {
  const found = childrenOf(pid).flatMap((each) => identityOf(each) ?? []);
  return () => {
    const left = found.filter(isAlive).map(({ pid: each }) => String(each));
    if (left.length > 0) void runProgram('kill', ['-s', 'TERM', ...left], killWithinMs);
  };
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // It has ended, or the kernel does not say.
  }
}
