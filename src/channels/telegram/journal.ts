import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeFolder } from '../../base/files.ts';

/** A button: what stands on it, and what a tap sends. */
export type Key = { text: string; data: string };
/** What is shown of a message: HTML, and buttons below it. */
export type Shown = { html: string; keys: readonly Key[] };

/** Something that is to be said or changed in a chat, until Telegram has taken it. */
export type Waiting = {
  seq: number;
  /** Names this saying, so that it is put in once. */
  id: string;
  chat: number;
  shown: Shown;
  /** The question that it shows or whose end it tells. */
  question: string | null;
  /** Of an edit: the message that changes. Where nothing is shown of it, it goes. */
  edits: number | null;
  attempts: number;
};

export type NewSaying = Pick<Waiting, 'id' | 'chat' | 'shown'> & {
  question?: string;
  edits?: number;
  /** What somebody waits for goes before what is only told. */
  isUrgent?: boolean;
  /** What answers somebody just now goes before everything, whatever floods the chat. */
  isReply?: boolean;
};

/** A question as it was put to somebody. `key` is how buttons name it; `outcome` is HTML, and null while it is open. */
export type PutQuestion = { id: string; key: string; outcome: string | null };
/** A yes of somebody that waits for their code, in their chat. `proof`: that there was one; the code itself is kept nowhere. */
export type AwaitedCode = {
  chat: number;
  question: string;
  response: string;
  sinceMs: number;
  proof: string | null;
};
/** A message that shows a question. */
export type ShownAt = { chat: number; message: number; html: string };

/**
 * What must outlive this process: what is still to be sent, which message shows which question, how far the log and the updates
 * are read. Every write is on disk when it returns.
 */
export type Journal = {
  /** Several writes as one. */
  together<T>(write: () => T): T;
  say(saying: NewSaying): void;
  /** How much waits for a chat that is only told. */
  untold(chat: number): number;
  /** Changes the text of what waits and has nothing behind it that is only told; false where that is not so. */
  amend(id: string, html: string): boolean;
  /** The next that waits for each chat. */
  next(): Waiting[];
  waiting(): number;
  /** Telegram has taken it, as this message. */
  sent(seq: number, message: number): void;
  failed(seq: number): void;
  /** It will never be taken: why. */
  dropped(seq: number, because: string): void;
  /** False when it was put before. */
  putQuestion(question: Pick<PutQuestion, 'id' | 'key'>): boolean;
  question(id: string): PutQuestion | undefined;
  /** By what buttons call it; another's id may be just that. */
  questionOfKey(key: string): PutQuestion | undefined;
  openQuestions(): PutQuestion[];
  closeQuestion(id: string, outcome: string): void;
  shownAt(question: string): ShownAt[];
  /** One for each chat: a newer one takes the place of an older. */
  awaitCode(awaited: AwaitedCode): void;
  awaitedCode(chat: number): AwaitedCode | undefined;
  /** Nobody's code is waited for any more, for this question. */
  endCodes(question: string): void;
  /** The code of this chat is not waited for any more; those of others are. */
  endCode(chat: number): void;
  /** A call whose end is still to be told. */
  addCall(id: string, chat: number): void;
  calls(): { id: string; chat: number }[];
  endCall(id: string): void;
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  close(): void;
};

/** What was sent or dropped is kept this long, so that messages can be edited. */
const keptMs = 90 * 86_400_000;

/** Opens the journal in a file, and makes it where there is none. It is for one process at a time. */
export function openJournal(file: string, now: () => number): Journal {
  makeFolder(dirname(file), 0o700);
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000;
    CREATE TABLE IF NOT EXISTS sayings (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, chat INTEGER NOT NULL, html TEXT NOT NULL,
      keys TEXT NOT NULL, question TEXT, edits INTEGER, rank INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
      state TEXT NOT NULL DEFAULT 'waiting', message INTEGER, because TEXT, at INTEGER NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS sayings_waiting ON sayings (chat, rank, seq) WHERE state = 'waiting';
    CREATE INDEX IF NOT EXISTS sayings_question ON sayings (question) WHERE question IS NOT NULL;
    CREATE TABLE IF NOT EXISTS questions (
      id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, outcome TEXT, at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, chat INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS codes (
      chat INTEGER PRIMARY KEY, question TEXT NOT NULL, response TEXT NOT NULL, since_ms INTEGER NOT NULL, proof TEXT) STRICT;
    CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`);
  db.prepare("DELETE FROM sayings WHERE state <> 'waiting' AND at < ?").run(now() - keptMs);
  db.prepare('DELETE FROM questions WHERE outcome IS NOT NULL AND at < ?').run(now() - keptMs);
  return {
    ...transactions(db),
    ...sayings(db, now),
    ...questions(db, now),
    ...codes(db),
    ...notes(db, now),
    close: () => db.close(),
  };
}

function transactions(db: DatabaseSync): Pick<Journal, 'together'> {
  let isInside = false;
  return {
    together(write) {
      if (isInside) return write();
      db.exec('BEGIN IMMEDIATE');
      isInside = true;
      try {
        const result = write();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      } finally {
        isInside = false;
      }
    },
  };
}

type Row = {
  seq: number;
  id: string;
  chat: number;
  html: string;
  keys: string;
  question: string | null;
  edits: number | null;
  attempts: number;
};

/** The rank of what nobody waits for. */
const told = 1;

const waitingOf = ({ html, keys, ...rest }: Row): Waiting => ({ ...rest, shown: { html, keys: JSON.parse(keys) } });

function sayings(
  db: DatabaseSync,
  now: () => number,
): Pick<Journal, 'say' | 'untold' | 'amend' | 'next' | 'waiting' | 'sent' | 'failed' | 'dropped' | 'shownAt'> {
  const add = db.prepare(
    `INSERT INTO sayings (id, chat, html, keys, question, edits, rank, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
  );
  // Of each chat the first: what comes after it must not overtake it.
  const next = db.prepare(
    `SELECT seq, id, chat, html, keys, question, edits, attempts FROM sayings s WHERE state = 'waiting' AND seq = (
       SELECT seq FROM sayings WHERE state = 'waiting' AND chat = s.chat ORDER BY rank, seq LIMIT 1)
     ORDER BY rank, seq`,
  );
  const count = db.prepare("SELECT count(*) AS n FROM sayings WHERE state = 'waiting'");
  const untold = db.prepare(
    `SELECT count(*) AS n FROM sayings WHERE state = 'waiting' AND chat = ? AND rank = ${told}`,
  );
  const amend = db.prepare(
    `UPDATE sayings AS s SET html = ? WHERE id = ? AND state = 'waiting' AND seq = (
       SELECT max(seq) FROM sayings WHERE state = 'waiting' AND chat = s.chat AND rank = ${told})`,
  );
  const sent = db.prepare("UPDATE sayings SET state = 'sent', message = ? WHERE seq = ?");
  const failed = db.prepare('UPDATE sayings SET attempts = attempts + 1 WHERE seq = ?');
  const dropped = db.prepare("UPDATE sayings SET state = 'dropped', because = ? WHERE seq = ?");
  const shownAt = db.prepare(
    "SELECT chat, message, html FROM sayings WHERE question = ? AND edits IS NULL AND state = 'sent' ORDER BY seq",
  );
  return {
    say({ id, chat, shown, question, edits, isUrgent = false, isReply = false }) {
      const { html, keys } = shown;
      const rank = isReply ? -1 : isUrgent ? 0 : told;
      add.run(id, chat, html, JSON.stringify(keys), question ?? null, edits ?? null, rank, now());
    },
    untold: (chat) => untold.get(chat)?.n as number,
    amend: (id, html) => amend.run(html, id).changes > 0,
    next: () => (next.all() as Row[]).map(waitingOf),
    waiting: () => count.get()?.n as number,
    sent: (seq, message) => void sent.run(message, seq),
    failed: (seq) => void failed.run(seq),
    dropped: (seq, because) => void dropped.run(because, seq),
    shownAt: (question) => shownAt.all(question) as ShownAt[],
  };
}

function questions(
  db: DatabaseSync,
  now: () => number,
): Pick<Journal, 'putQuestion' | 'question' | 'questionOfKey' | 'openQuestions' | 'closeQuestion'> {
  const put = db.prepare('INSERT INTO questions (id, key, at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING');
  const find = db.prepare('SELECT id, key, outcome FROM questions WHERE id = ?');
  const findByKey = db.prepare('SELECT id, key, outcome FROM questions WHERE key = ?');
  const open = db.prepare('SELECT id, key, outcome FROM questions WHERE outcome IS NULL ORDER BY at');
  const close = db.prepare('UPDATE questions SET outcome = ? WHERE id = ? AND outcome IS NULL');
  const of = (row: Record<string, unknown>) => ({ ...row }) as PutQuestion;
  return {
    putQuestion: ({ id, key }) => put.run(id, key, now()).changes > 0,
    question(id) {
      const row = find.get(id);
      return row && of(row);
    },
    questionOfKey(key) {
      const row = findByKey.get(key);
      return row && of(row);
    },
    openQuestions: () => open.all().map(of),
    closeQuestion: (id, outcome) => void close.run(outcome, id),
  };
}

function codes(db: DatabaseSync): Pick<Journal, 'awaitCode' | 'awaitedCode' | 'endCodes' | 'endCode'> {
  const put = db.prepare(
    'INSERT OR REPLACE INTO codes (chat, question, response, since_ms, proof) VALUES (?, ?, ?, ?, ?)',
  );
  const find = db.prepare('SELECT chat, question, response, since_ms AS sinceMs, proof FROM codes WHERE chat = ?');
  const end = db.prepare('DELETE FROM codes WHERE question = ?');
  const endOne = db.prepare('DELETE FROM codes WHERE chat = ?');
  return {
    awaitCode: ({ chat, question, response, sinceMs, proof }) => void put.run(chat, question, response, sinceMs, proof),
    awaitedCode(chat) {
      const row = find.get(chat);
      return row && ({ ...row } as AwaitedCode);
    },
    endCodes: (question) => void end.run(question),
    endCode: (chat) => void endOne.run(chat),
  };
}

function notes(db: DatabaseSync, now: () => number): Pick<Journal, 'addCall' | 'calls' | 'endCall' | 'get' | 'set'> {
  const addCall = db.prepare('INSERT INTO calls (id, chat, at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING');
  const calls = db.prepare('SELECT id, chat FROM calls ORDER BY at');
  const endCall = db.prepare('DELETE FROM calls WHERE id = ?');
  const get = db.prepare('SELECT value FROM notes WHERE name = ?');
  const set = db.prepare(
    'INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  return {
    addCall: (id, chat) => void addCall.run(id, chat, now()),
    calls: () => calls.all() as { id: string; chat: number }[],
    endCall: (id) => void endCall.run(id),
    get: (name) => get.get(name)?.value as string | undefined,
    set: (name, value) => void set.run(name, value),
  };
}
