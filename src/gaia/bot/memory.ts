import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSynced } from './write-synced.ts';

/** What the bot must not forget when it is killed. */
export type Memory = {
  /** The next update to be asked for. */
  offset: number;
  /** Files of the runner that were sent. */
  sent: string[];
  /** Of a message that takes several: how many of them are sent. */
  parts: { name: string; count: number } | null;
  /** Messages that are changed in their place, by person and key. */
  messages: Record<string, { id: number; operation: string | null }>;
  /** What was last shown of files that are replaced. */
  shown: Record<string, string>;
  /** The operation that asked for a code last, by person. */
  asked: Record<string, string>;
  /** What the bot says of itself and has not sent yet. */
  own: { to: number; text: string }[];
};

export type Remembers = {
  readonly now: Memory;
  /** True where there was nothing yet. */
  readonly isNew: boolean;
  /** On disk when it returns, also when this process is killed then. */
  keep(change: Partial<Memory>): void;
};

const empty: Memory = { offset: 0, sent: [], parts: null, messages: {}, shown: {}, asked: {}, own: [] };
/** What is said of itself at most while Telegram is away. */
const maxOwn = 100;
const maxMessages = 200;

/** What the bot remembers in its own folder; what is damaged is as if there was nothing. */
export function memoryIn(folder: string): Remembers {
  const file = join(folder, 'memory.json');
  const before = read(file);
  let now = before ?? empty;
  return {
    get now() {
      return now;
    },
    isNew: before === undefined,
    keep(change) {
      now = { ...now, ...change };
      now = { ...now, own: now.own.slice(-maxOwn), messages: newest(now.messages) };
      writeSynced(file, `${JSON.stringify(now)}\n`);
    },
  };
}

const newest = (messages: Memory['messages']) => Object.fromEntries(Object.entries(messages).slice(-maxMessages));

function read(file: string): Memory | undefined {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Memory>;
    return Number.isSafeInteger(found.offset) ? { ...empty, ...found } : undefined;
  } catch {
    return undefined; // Not there yet, or damaged: Telegram tells again what was not confirmed.
  }
}
