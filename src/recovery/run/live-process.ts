import { readFileSync } from 'node:fs';

/** What tells one process from another that later gets the same number. */
export type ProcessIdentity = {
  pid: number;
  boot_id: string;
  /** Clock ticks since the boot (field 22 of /proc/PID/stat). */
  start_time: number;
};

const bootIdFile = '/proc/sys/kernel/random/boot_id';

/** The boot this machine is in; empty where the kernel does not say. */
export function bootId(): string {
  return textOf(bootIdFile)?.trim() ?? '';
}

/** Seconds since the boot, suspended time included; undefined where the kernel does not say. */
export function uptimeSeconds(): number | undefined {
  const seconds = Number(textOf('/proc/uptime')?.split(' ')[0]);
  return Number.isFinite(seconds) ? seconds : undefined;
}

/** What tells the process of this number now from others; undefined when there is none. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const start_time = startTimeOf(pid);
  return start_time === undefined ? undefined : { pid, boot_id: bootId(), start_time };
}

/** Whether that very process lives, and not another with its number. */
export function isAlive({ pid, boot_id, start_time }: ProcessIdentity): boolean {
  return boot_id === bootId() && startTimeOf(pid) === start_time;
}

function startTimeOf(pid: number): number | undefined {
  const text = textOf(`/proc/${pid}/stat`);
  // The name stands in parentheses and may hold spaces and parentheses itself.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; only its parent has not looked yet.
  if (fields === undefined || fields[0] === 'Z') return undefined;
  const ticks = Number(fields[19]);
  return Number.isInteger(ticks) ? ticks : undefined;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // No such process, or no /proc.
  }
}
