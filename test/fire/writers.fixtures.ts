import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Machine, machineName } from './machine.fixtures.ts';

/** Fills a database with one transaction after the other, and keeps outside of its machine what was acknowledged, and when. */
export type Writer = {
  /** How many transactions were acknowledged in that moment or before it (ms). They have the numbers from 1 on. */
  acknowledgedBy(atMs: number): number;
  /** Ends it after the transaction that it is in. @throws when it ended before */
  end(): Promise<void>;
};

/** How a database is reached on a machine. */
export type Reach = {
  /** A shell of SQL that reads statements and stops at the first that fails. */
  shell: string;
  begin: string;
};

const accounts = 100;
const balance = 1000;
/** Between two transactions, so that the machine has time for more than this. */
const restMs = 4;

/** What a writer needs: a table that it numbers, and accounts between which it moves what they have. */
export const writersTables = `CREATE TABLE kept (n int PRIMARY KEY);
CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
WITH RECURSIVE one(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM one WHERE i < ${accounts})
INSERT INTO account SELECT i, ${balance} FROM one;
`;

const transaction = (n: number, begin: string) => `${begin};
INSERT INTO kept VALUES (${n});
UPDATE account SET balance = balance - ${n % 17} WHERE id = ${(n % accounts) + 1};
UPDATE account SET balance = balance + ${n % 17} WHERE id = ${((n * 7) % accounts) + 1};
COMMIT;
SELECT ${n};
`;

/** Begins to write. The database has the tables, and nobody else writes to them. */
export function startWriter({ shell, begin }: Reach): Writer {
  const child = spawn('docker', ['exec', '-i', machineName, 'sh', '-c', shell], { stdio: 'pipe' });
  const momentsMs: number[] = [];
  let isEnding = false;
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const next = () => {
    if (isEnding) child.stdin.end();
    else if (child.exitCode === null) child.stdin.write(transaction(momentsMs.length + 1, begin));
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line !== String(momentsMs.length + 1)) return;
    momentsMs.push(Date.now());
    setTimeout(next, restMs);
  });
  // One that is gone says so when it is ended.
  child.stdin.on('error', () => undefined);
  next();
  return {
    acknowledgedBy: (atMs) => momentsMs.filter((moment) => moment <= atMs).length,
    async end() {
      const isOver = child.exitCode !== null;
      isEnding = true;
      const exit = await ended;
      if (isOver || exit !== 0) throw new Error(`a writer ended with ${exit}: ${complaint}`);
    },
  };
}

/** A restored database has everything that was acknowledged in that moment, nothing in part, and what there was in sum. */
export async function requireKept(on: Machine, { shell }: Reach, writer: Writer, atMs: number): Promise<number> {
  const asked =
    'SELECT count(*) FROM kept; SELECT max(n) FROM kept; SELECT count(*) FROM account; SELECT sum(balance) FROM account;';
  const [count, last, ids, sum] = (await on.well(`echo '${asked}' | ${shell}`)).split('\n').map(Number);
  assert.equal(count, last, 'a transaction is missing, and later ones are there');
  assert.ok(
    Number(count) >= writer.acknowledgedBy(atMs),
    `${count} are there of ${writer.acknowledgedBy(atMs)} acknowledged`,
  );
  assert.equal(ids, accounts);
  assert.equal(sum, accounts * balance, 'half a transaction is there');
  return Number(count);
}
