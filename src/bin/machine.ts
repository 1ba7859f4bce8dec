import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { connect, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dirname, join } from 'node:path';
import type { FolderReport } from '../channels/cli/door.ts';

const connectTimeoutMs = 1000;

/** What `bus.json` beside the database says of the running bus, and whether that process lives. */
export function recordedBus(databaseFile: string): { pid: number; url: string; alive: boolean } | undefined {
  try {
    const { pid, url } = JSON.parse(readFileSync(join(dirname(databaseFile), 'bus.json'), 'utf8'));
    if (!Number.isInteger(pid) || typeof url !== 'string') return undefined;
    return { pid, url, alive: isAlive(pid) };
  } catch {
    return undefined; // Not there, or half written: no bus is recorded.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether something accepts connections there. */
export function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({
      host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host,
      port,
      timeout: connectTimeoutMs,
    });
    const conclude = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.on('connect', () => conclude(true));
    socket.on('timeout', () => conclude(false));
    socket.on('error', () => conclude(false));
  });
}

/** Whether what is sent to this host stays on this machine. Names but localhost are not looked up: that could be spoofed. */
export function isThisMachine(host: string): boolean {
  if (host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))) return true;
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === host));
}

/** Whether this user may write into the folder, or into the nearest thing above it that exists, and the room there. */
export function folder(path: string): FolderReport {
  let nearest = path;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  const { bavail, bsize } = statfsSync(nearest);
  return {
    exists: nearest === path,
    nearest,
    isFolder: statSync(nearest).isDirectory(),
    writable: isWritable(nearest),
    freeBytes: bavail * bsize,
  };
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false; // Why is for the caller to say; here it is a question.
  }
}
