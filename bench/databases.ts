import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { median } from './machine.ts';
import { startPostgres } from './rivals/postgres.ts';

type Measured = {
  mib: number;
  /** Seconds of each round, without reading back. */
  ours: number[];
  bare: number[];
  restoreSeconds: number;
  /** From the stop of the services to their start: names and files. */
  swapMs: number;
};

export type DatabasesResult = { version: string; sizes: Measured[] } | undefined;

type Options = { quick: boolean; rounds: number; note: (line: string) => void };

/**
 * Backs a PostgreSQL database up with ours and with `pg_dump -Fc -Z0 | zstd`, in turns, and restores it, in two sizes.
 * Undefined where there is no PostgreSQL.
 */
export async function benchDatabases({ quick, rounds, note }: Options): Promise<DatabasesResult> {
  const server = await startPostgres(undefined);
  if (typeof server === 'string') return undefined;
  const home = mkdtempSync(join(tmpdir(), 'bench-databases-'));
  try {
    const further = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
    buildSync({
      ...{ entryPoints: [join(import.meta.dirname, 'archive-run.ts')], outfile: join(home, 'run.mjs'), bundle: true },
      ...{ platform: 'node', format: 'esm', target: 'node26', banner: { js: further } },
    });
    const sizes: Measured[] = [];
    for (const mib of quick ? [20, 100] : [100, 5000]) {
      fill(server.connectionString, mib);
      note(`a database of ${mib} MiB is made`);
      sizes.push(measure(home, server.connectionString, mib, rounds, note));
    }
    return { version: server.version, sizes };
  } finally {
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

function psql(connection: string, sql: string): void {
  execFileSync('psql', ['-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', connection], {
    input: sql,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
}

/** Rows as those of a log of executions: some of it repeats, some does not. */
function fill(connection: string, mib: number): void {
  psql(connection, 'DROP DATABASE IF EXISTS app');
  psql(connection, 'CREATE DATABASE app');
  const rows = mib * 1000;
  psql(
    connection.replace(/\/postgres$/, '/app'),
    `CREATE TABLE execution (id int, at timestamptz, workflow int, data text);
     INSERT INTO execution SELECT n, now(), n % 50, repeat(md5(n::text), 10) || repeat('{"node":"Webhook","status":"success"}', 16)
       FROM generate_series(1, ${rows}) n;
     ALTER TABLE execution ADD PRIMARY KEY (id); CREATE INDEX ON execution (workflow); CHECKPOINT;`,
  );
}

function measure(
  home: string,
  connection: string,
  mib: number,
  rounds: number,
  note: (line: string) => void,
): Measured {
  const at = join(home, `of-${mib}`);
  for (const folder of ['data', 'backups']) mkdirSync(join(at, folder), { recursive: true });
  writeFileSync(join(at, 'data', 'file'), 'a file\n');
  const url = connection.replace(/\/postgres$/, '/app');
  const ours = (what: string) => {
    const words = [join(home, 'run.mjs'), what, at, new URL(connection).port];
    return JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' })) as { ms: number; writtenMs: number };
  };
  const result: Measured = { mib, ours: [], bare: [], restoreSeconds: 0, swapMs: 0 };
  for (let round = 0; round < rounds; round++) {
    rmSync(join(at, 'backups', 'bench'), { recursive: true, force: true });
    execFileSync('sync');
    result.ours.push(ours('backup').writtenMs / 1000);
    note(`gaia backup: ${result.ours.at(-1)?.toFixed(2)} s`);
    execFileSync('sync');
    const began = performance.now();
    execFileSync('sh', [
      '-c',
      'pg_dump -Fc -Z0 -d "$1" | zstd -q -T1 -f -o "$2" && sync -f "$2"',
      'sh',
      url,
      join(at, 'bare.zst'),
    ]);
    result.bare.push((performance.now() - began) / 1000);
    note(`pg_dump | zstd: ${result.bare.at(-1)?.toFixed(2)} s`);
    rmSync(join(at, 'bare.zst'));
  }
  result.restoreSeconds = ours('restore').ms / 1000;
  result.swapMs = swapOf(join(at, 'backups', '.gaia', 'runs'));
  note(`gaia restore: ${result.restoreSeconds.toFixed(1)} s, of it ${result.swapMs} ms with nothing in its place`);
  return result;
}

function swapOf(runs: string): number {
  const newest = readdirSync(runs).sort().at(-1) as string;
  const lines = readFileSync(join(runs, newest, 'journal.ndjson'), 'utf8')
    .trim()
    .split('\n');
  const swap = lines.map((line) => JSON.parse(line)).find(({ step, state }) => step === 'swap' && state === 'done');
  return swap.facts.took_ms as number;
}

export function databasesReport(result: DatabasesResult): string {
  if (result === undefined) return 'Left out: there is no PostgreSQL server here (apt-get install postgresql).';
  const { version, sizes } = result;
  return [
    '### PostgreSQL databases',
    '',
    `PostgreSQL ${version} on the same cores, reached over the loopback, with its usual settings. Reading back apart.`,
    '',
    '| database | gaia backup, s | pg_dump -Fc -Z0 \\| zstd, s | ratio (wanted: at most 1.15) | gaia restore, s | of it without the target, ms (wanted: under 1000) |',
    '|---|---|---|---|---|---|',
    ...sizes.map(({ mib, ours, bare, restoreSeconds, swapMs }) => {
      const [a, b] = [median(ours), median(bare)];
      const ratio = `${(a / b).toFixed(2)}${a / b > 1.15 ? ' **missed**' : ''}`;
      return `| ${mib.toLocaleString('en')} MiB | ${a.toFixed(2)} | ${b.toFixed(2)} | ${ratio} | ${restoreSeconds.toFixed(1)} | ${swapMs} |`;
    }),
  ].join('\n');
}
