import { Fault } from '../../base/fault.ts';
import type { ClientProcess, Connection } from './connection.ts';

/** One connection to a database, kept open, on which one question follows another. */
export type Session = {
  /** Answers the one value of the one row that the last statement gives, or undefined when there is none. @throws Fault */
  ask(sql: string): Promise<string | undefined>;
  /** The same for a value that is JSON. */
  askJson<T>(sql: string): Promise<T>;
  close(): Promise<void>;
};

const mark = 'end-of-answer-7f3a91';
const settings = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1'];

/** Opens a session by psql. What it says is UTF-8. */
export function openSession(connection: Connection, database?: string): Session {
  const { child, ended }: ClientProcess = connection.start('psql', settings, database);
  const iterator = linesOf(child.stdout.setEncoding('utf8'));
  let isOpen = true;
  child.stdin.write("SET client_encoding = 'UTF8'; SET statement_timeout = 0; SET lock_timeout = '60s';\n");
  // Some versions have it, and it would end a session that waits for a long load.
  child.stdin.write(
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout' \\g /dev/null\n",
  );

  async function ask(sql: string): Promise<string | undefined> {
    child.stdin.write(`${sql}\n;\n\\echo ${mark}\n`);
    const found: string[] = [];
    for (;;) {
      const { value, done } = await iterator.next();
      if (done === true) {
        await ended;
        throw new Fault('unavailable', `The connection to ${connection.label} ended.`);
      }
      if (value === mark) return found.length === 0 ? undefined : found.join('\n');
      found.push(value as string);
    }
  }

  return {
    ask,
    async askJson<T>(sql: string): Promise<T> {
      return JSON.parse((await ask(sql)) ?? 'null') as T;
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      child.stdin.end();
      await ended.catch(() => undefined /* what was asked was answered */);
    },
  };
}

/** Lines as psql ends them; a separator within a text (U+2028) is none. */
async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string, undefined, undefined> {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  return undefined;
}

/** Asks in a session of its own. */
export async function askOnce<T>(
  connection: Connection,
  ask: (session: Session) => Promise<T>,
  database?: string,
): Promise<T> {
  const session = openSession(connection, database);
  try {
    return await ask(session);
  } finally {
    await session.close();
  }
}

/** A name as SQL has it. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as SQL has it, whatever standard_conforming_strings says. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}
