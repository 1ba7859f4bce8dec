import { Fault, type FaultCode, reasonOf } from '../../../base/fault.ts';
import type { FaultData } from './commands.ts';

// Primary result codes of SQLite, https://www.sqlite.org/rescode.html
const busy = 5;
const locked = 6;
const readonly = 8;
const ioError = 10;
const corrupt = 11;
const full = 13;
const cannotOpen = 14;
const notADatabase = 26;

/** What to do with a database that cannot be used. A log left behind would be written into the copy, and ruin it. */
export const wayOut =
  'Keep it: move the file together with the -wal and -shm beside it into another folder. Then put the newest copy in its place ("leveredge backup" makes them), or start with an empty one.';

const ourMistake = 'our-mistake';

/** Errors that strike every command of a transaction alike, so that trying them one by one would be pointless. */
const everyone = new Set([busy, locked, readonly, ioError, corrupt, full, cannotOpen, notADatabase]);

export function strikesEveryone(thrown: unknown): boolean {
  return everyone.has(primaryCode(thrown));
}

/**
 * An error of SQLite or of the file system as a Fault with a sentence for the owner. Anything else comes back as it is: a
 * Fault because it says enough, and our own mistakes because no sentence about the disk should hide them.
 */
export function sqliteFault(thrown: unknown, file: string): unknown {
  const code = primaryCode(thrown);
  if (thrown instanceof Fault || (code === -1 && !isSystemError(thrown))) return thrown;
  const cause = { cause: thrown };
  switch (code) {
    case full:
      return new Fault('storage-full', `The disk that holds ${file} is full; nothing was stored.`, {
        hint: 'Make room and send it again; the bus goes on by itself.',
        ...cause,
      });
    case corrupt:
    case notADatabase:
      return new Fault('damaged', `The database ${file} is damaged: ${reasonOf(thrown)}.`, {
        hint: `Stop the bus if it runs. ${wayOut}`,
        ...cause,
      });
    case busy:
    case locked:
      return new Fault('unavailable', `Another program holds ${file}; nothing was stored.`, {
        hint: 'End the program that has the database open for writing (a sqlite3 shell?) and send it again.',
        ...cause,
      });
    case -1:
      if (isOutOfFiles(thrown)) return outOfFiles(file, thrown);
      return cannotWrite(file, thrown);
    case readonly:
    case cannotOpen:
      return cannotWrite(file, thrown);
    case ioError:
      return new Fault('unavailable', `The disk that holds ${file} reports an error: ${reasonOf(thrown)}.`, {
        hint: 'Look at the kernel log (dmesg) and at the disk; nothing was stored.',
        ...cause,
      });
    default:
      return new Fault('unavailable', `The database refused this: ${reasonOf(thrown)}. Nothing was stored.`, cause);
  }
}

function cannotWrite(file: string, thrown: unknown): Fault {
  return new Fault('unavailable', `${file} cannot be opened for writing: ${reasonOf(thrown)}.`, {
    hint: 'Check who owns the file and its folder, and that the disk is mounted for writing.',
    cause: thrown,
  });
}

function isOutOfFiles(thrown: unknown): boolean {
  return ['EMFILE', 'ENFILE'].includes((thrown as NodeJS.ErrnoException).code ?? '');
}

function outOfFiles(file: string, thrown: unknown): Fault {
  return new Fault('unavailable', `${file} cannot be opened: this process may open no more files.`, {
    hint: 'Raise the limit (ulimit -n, or LimitNOFILE= in the unit); 4,200 are enough for every connection the bus takes.',
    cause: thrown,
  });
}

/** What was thrown as plain data, so that it can cross to another thread. */
export function faultData(thrown: unknown): FaultData {
  if (thrown instanceof Fault) {
    const { code, message, hint, mistakes } = thrown;
    return { code, message, hint, mistakes };
  }
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return { code: ourMistake, message: reasonOf(thrown), hint: stack, mistakes: [] };
}

/** The Fault again, or for a mistake of ours an error with the stack of where it happened. */
export function faultOf(data: FaultData): Error {
  if (data.code === ourMistake) return Object.assign(new Error(data.message), { stack: data.hint ?? data.message });
  return new Fault(data.code as FaultCode, data.message, { hint: data.hint, mistakes: data.mistakes });
}

function isSystemError(thrown: unknown): boolean {
  return typeof (thrown as NodeJS.ErrnoException | undefined)?.syscall === 'string';
}

function primaryCode(thrown: unknown): number {
  const code = (thrown as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === 'number' ? code & 0xff : -1;
}
