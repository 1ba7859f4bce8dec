import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';

/** A process that has something below a folder open. */
export type OpenFile = {
  pid: number;
  command: string;
  path: string;
  /** Whether it may write to it: then what it writes after the swap goes into the old state. */
  writes: boolean;
};

const maxFound = 200;
const accessMode = 0o3;

/**
 * Who holds files below these folders open or mapped, or stands in them. Of other users' processes only root sees
 * that. The own process and those that are told do not count, nor do files below what stays where it is.
 */
export function openFilesBelow(
  roots: readonly string[],
  own: ReadonlySet<number>,
  stays: readonly string[] = [],
): OpenFile[] {
  const found: OpenFile[] = [];
  const isIn = (folders: readonly string[], path: string) =>
    folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
  const isBelow = (path: string) => isIn(roots, path) && !isIn(stays, path);
  for (const name of namesIn('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || own.has(pid)) continue;
    const seen = new Map<string, boolean>();
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const path = linkAt(`/proc/${pid}/fd/${fd}`);
      if (path !== undefined && isBelow(path)) seen.set(path, seen.get(path) === true || mayWrite(pid, fd));
    }
    const cwd = linkAt(`/proc/${pid}/cwd`);
    if (cwd !== undefined && isBelow(cwd) && !seen.has(cwd)) seen.set(cwd, false);
    for (const path of writableMaps(pid)) if (isBelow(path)) seen.set(path, true);
    if (seen.size === 0) continue;
    const command = commandOf(pid);
    for (const [path, writes] of seen) if (found.length < maxFound) found.push({ pid, command, path, writes });
  }
  return found;
}

/** Looked at again right before a swap: somebody may have opened files meanwhile. @throws Fault `conflict` naming one */
export function requireNoWriter(open: readonly OpenFile[]): void {
  const writer = open.find(({ writes }) => writes);
  if (writer !== undefined)
    throw new Fault(
      'conflict',
      `Process ${writer.pid} (${writer.command}) has opened ${writer.path} for writing meanwhile.`,
      {
        hint: 'Stop it and try again, or accept that what it writes is put aside: --ignore-open',
      },
    );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // It has ended, or is another user's.
  }
}

function linkAt(path: string): string | undefined {
  try {
    const link = readlinkSync(path);
    return link.startsWith('/') ? link.replace(/ \(deleted\)$/, '') : undefined;
  } catch {
    return undefined; // Closed meanwhile.
  }
}

function mayWrite(pid: number, fd: string): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(textOf(`/proc/${pid}/fdinfo/${fd}`))?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & accessMode) !== 0;
}

/** Files mapped shared and writable, which need no open descriptor. */
function writableMaps(pid: number): string[] {
  return textOf(`/proc/${pid}/maps`)
    .split('\n')
    .flatMap((line) => {
      const match = /^\S+ .w.s \S+ \S+ \d+\s+(\/.*)$/.exec(line);
      return match ? [match[1] as string] : [];
    });
}

function commandOf(pid: number): string {
  const words = textOf(`/proc/${pid}/cmdline`).split('\0').filter(Boolean).join(' ');
  return (words || textOf(`/proc/${pid}/comm`).trim()).slice(0, 80);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // It has ended, or is another user's.
  }
}
