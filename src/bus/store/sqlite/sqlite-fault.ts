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

/** Errors that strike every command of a transaction alike, so that trying them one by one would be pointless. */
const everyone = new Set([busy, locked, readonly, ioError, corrupt, full, cannotOpen, notADatabase]);

export function strikesEveryone(thrown: unknown): boolean {
  return everyone.has(primaryCode(thrown));
}

/** An error of SQLite as a Fault with a sentence for the owner; a Fault stays what it is, anything else is our mistake. */
export function sqliteFault(thrown: unknown, file: string): Fault {
  if (thrown instanceof Fault) return thrown;
  const cause = { cause: thrown };
  switch (primaryCode(thrown)) {
    case full:
      return new Fault('storage-full', `The disk that holds ${file} is full; nothing was stored.`, {
        hint: 'Make room and send it again; the bus goes on by itself.',
        ...cause,
      });
    case corrupt:
    case notADatabase:
      return new Fault('damaged', `The database ${file} is damaged: ${reasonOf(thrown)}.`, {
        hint: 'Stop the bus if it runs, keep the file, put the newest copy in its place; "leveredge doctor" says what is broken.',
        ...cause,
      });
    case busy:
    case locked:
      return new Fault('unavailable', `Another program holds ${file}; nothing was stored.`, {
        hint: 'End the program that has the database open for writing (a sqlite3 shell?) and send it again.',
        ...cause,
      });
    case readonly:
    case cannotOpen:
      return new Fault('unavailable', `${file} cannot be written: ${reasonOf(thrown)}.`, {
        hint: 'Check who owns the file and its folder, and that the disk is mounted for writing.',
        ...cause,
      });
    case ioError:
      return new Fault('unavailable', `The disk that holds ${file} reports an error: ${reasonOf(thrown)}.`, {
        hint: 'Look at the kernel log (dmesg) and at the disk; nothing was stored.',
        ...cause,
      });
    default:
      return new Fault('unavailable', `The database refused this: ${reasonOf(thrown)}. Nothing was stored.`, cause);
  }
}

export function faultData(fault: Fault): FaultData {
  return { code: fault.code, message: fault.message, hint: fault.hint, mistakes: fault.mistakes };
}

export function faultOf(data: FaultData): Fault {
  return new Fault(data.code as FaultCode, data.message, { hint: data.hint, mistakes: data.mistakes });
}

function primaryCode(thrown: unknown): number {
  const code = (thrown as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === 'number' ? code & 0xff : -1;
}
