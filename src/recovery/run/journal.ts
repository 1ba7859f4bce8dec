import { hash } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, rfc3339 } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { syncFolder } from '../disk.ts';

/** The steps of a restore, in their order. `end` is the last line of a run. */
export type Step =
  | 'lock'
  | 'preflight'
  | 'stage'
  | 'compare'
  | 'load'
  | 'quiesce'
  | 'swap'
  | 'start'
  | 'health'
  | 'commit'
  | 'take back'
  | 'end';

export type JournalLine = {
  n: number;
  at: string;
  step: Step;
  state: 'begin' | 'done' | 'failed';
  facts: Readonly<Record<string, unknown>>;
};

export type Journal = {
  /** What was written before and is whole, oldest first; grows with `append`. */
  readonly lines: readonly JournalLine[];
  /** On disk when it returns. */
  append(step: Step, state: JournalLine['state'], facts?: Record<string, unknown>): JournalLine;
  close(): void;
};

const maxJournalBytes = 256 * 1024 * 1024;

/**
 * Opens a journal for going on with it. A last line that was torn by a crash is cut off.
 * @throws Fault `damaged` when a line in the middle is not as it was written
 */
export function openJournal(file: string, clock: Clock): Journal {
  const whole = readWhole(file);
  const { lines } = whole;
  let { bytes } = whole;
  const fd = openSync(file, 'a', 0o600);
  ftruncateSync(fd, bytes);
  fsyncSync(fd);
  syncFolder(dirname(file));
  return {
    lines,
    append(step, state, facts = {}) {
      const line: JournalLine = { n: lines.length + 1, at: rfc3339(clock()), step, state, facts };
      const data = Buffer.from(textOf(line));
      try {
        for (let at = 0; at < data.length; ) at += writeSync(fd, data, at);
        fsyncSync(fd);
      } catch (error) {
        // Of a line that a full disk has cut nothing may stay: the next one would stand behind it on the same line.
        ftruncateSync(fd, bytes);
        throw error;
      }
      bytes += data.length;
      lines.push(line);
      return line;
    },
    close: () => closeSync(fd),
  };
}

/** The whole lines of a journal; none when there is no file. @throws Fault `damaged` */
export function readJournal(file: string): readonly JournalLine[] {
  return readWhole(file).lines;
}

function readWhole(file: string): { lines: JournalLine[]; bytes: number } {
  let data: Buffer;
  try {
    data = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { lines: [], bytes: 0 };
    throw error;
  }
  if (data.length > maxJournalBytes) throw new Fault('damaged', `The journal ${file} is too large to be one.`);
  const lines: JournalLine[] = [];
  let bytes = 0;
  for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, bytes)) {
    const line = parse(data.toString('utf8', bytes, end), lines.length + 1);
    if (line === undefined) {
      if (data.indexOf(0x0a, end + 1) < 0) break;
      throw new Fault('damaged', `Line ${lines.length + 1} of the journal ${file} is damaged.`, {
        hint: 'Nothing was touched. What lies beside the target under .gaia-stage- and .pre-restore. shows how far it came.',
      });
    }
    lines.push(line);
    bytes = end + 1;
  }
  return { lines, bytes };
}

function textOf(line: JournalLine): string {
  const text = JSON.stringify(line);
  return `${text.slice(0, -1)},"sum":"${sumOf(text)}"}\n`;
}

const sumEnd = /,"sum":"([0-9a-f]{16})"\}$/;

function parse(text: string, n: number): JournalLine | undefined {
  const match = sumEnd.exec(text);
  if (!match) return undefined;
  const bare = `${text.slice(0, match.index)}}`;
  if (sumOf(bare) !== match[1]) return undefined;
  const line = JSON.parse(bare) as JournalLine;
  return line.n === n ? line : undefined;
}

function sumOf(text: string): string {
  return hash('sha256', text).slice(0, 16);
}
