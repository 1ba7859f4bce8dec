import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { gaiaLauncher, type Stand } from './gaia.fixtures.ts';

const stopLimitMs = 30_000;

/** GAIA until it stops itself at a point, of this number or name; it is killed there. False when it ended before that point. */
export async function killedAt(stand: Stand, n: number | string, args: string[]): Promise<boolean> {
  const child = spawn(process.execPath, [gaiaLauncher, ...args, '--here', '--config', stand.config], {
    env: { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, GAIA_STOP_AT: String(n) },
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const began = performance.now();
  while (child.exitCode === null && child.signalCode === null) {
    if (stateOf(child.pid as number) === 'T') {
      child.kill('SIGKILL');
      await ended;
      return true;
    }
    assert.ok(performance.now() - began < stopLimitMs, `it neither ended nor stopped at ${n}`);
    await pause(5);
  }
  await ended;
  return false;
}

/** The letter that the kernel has for what a process does: T when it is stopped. Undefined when there is none. */
export function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2)[0];
  } catch {
    return undefined;
  }
}
