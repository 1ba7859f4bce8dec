import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Run by Node 26 itself, so that the process is GAIA's own. */
export const gaiaLauncher = join(import.meta.dirname, '../../bin/gaia.mjs');

type Ended = { exit: number | null; signal: string | null; stdout: string; stderr: string };

/** GAIA as a process of its own, with nothing in its environment but what is given; ended after two minutes at most. */
function gaia(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return run(process.execPath, [gaiaLauncher, ...args], env);
}

/** A program with its output, whatever its end. */
export function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
  limitMs = 120_000,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (exit, signal) => resolve({ exit, signal, stdout, stderr }));
  });
}

type Test = { after(fn: () => void): void };

/** A home with one target, `dev`: a few files and an SQLite database `events.db` with `rows` rows. */
export type Stand = {
  home: string;
  config: string;
  backups: string;
  root: string;
  database: string;
  /** GAIA with this stand's configuration. */
  gaia(...args: string[]): Promise<Ended>;
  /** The same, and its standard output as JSON; fails when the exit code is another. */
  json(exit: number, ...args: string[]): Promise<Record<string, unknown>>;
};

type Layout = {
  /** Where the home is made; a new temporary folder if not said. */
  home?: string;
  root?: string;
  backups?: string;
  /** Lines of YAML below the target, as `health: none`. */
  more?: string;
  rows?: number;
  /** A line of YAML at the top: without one, CHRONOS does nothing by itself here. */
  schedule?: string;
};

/** Makes a stand. What it made outside temporary folders the test must remove. */
export function makeStand(
  t: Test,
  { home = folder(t), root, backups, more = '', rows = 10, schedule = 'schedule: off\n' }: Layout = {},
): Stand {
  const at = root ?? join(home, 'data-plane', 'dev');
  const kept = backups ?? join(home, 'shared', 'backups');
  const config = join(home, 'gaia', 'config.yaml');
  const database = join(at, 'state', 'events.db');
  mkdirSync(join(at, 'state'), { recursive: true });
  mkdirSync(join(home, 'gaia'), { recursive: true });
  mkdirSync(kept, { recursive: true });
  writeFileSync(join(at, 'compose.yml'), 'services: {}\n');
  writeFileSync(join(at, 'notes'), 'the first state\n');
  fillDatabase(database, rows);
  const indented = more.split('\n').map((line) => `      ${line}\n`);
  writeFileSync(
    config,
    `backup_locations: { local: ${kept} }\n${schedule}restore_targets:\n  data-plane:\n    dev:\n      root: ${at}\n` +
      `      databases: [ { name: events, engine: sqlite, path: ${database} } ]\n${more === '' ? '' : indented.join('')}`,
  );
  const call = (...args: string[]) => gaia([...args, '--config', config], { LEVEREDGE_HOME: home });
  return {
    home,
    config,
    backups: kept,
    root: at,
    database,
    gaia: call,
    async json(exit, ...args) {
      const ended = await call(...args, '--json');
      if (ended.exit !== exit)
        throw new Error(`gaia ${args.join(' ')}: exit ${ended.exit}, wanted ${exit}\n${ended.stdout}${ended.stderr}`);
      return JSON.parse(
        ended.stdout.trim().split('\n').at(-1)?.startsWith('{') ? lastDocument(ended.stdout) : ended.stdout,
      );
    },
  };
}

/** With --json lines of progress may stand before the result, which comes last. */
function lastDocument(text: string): string {
  const start = text.lastIndexOf('\n{');
  return text.startsWith('{') && text.trim().split('\n{').length === 1 ? text : text.slice(start + 1);
}

/** A database in WAL mode with `rows` rows. */
export function fillDatabase(file: string, rows: number): void {
  const db = new DatabaseSync(file);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS event (n INTEGER PRIMARY KEY, text TEXT)');
  const insert = db.prepare('INSERT INTO event (text) VALUES (?)');
  for (let i = 0; i < rows; i++) insert.run(`row ${i} ${'x'.repeat(200)}`);
  db.close();
}

/** How many rows a database has; opens it for reading only. */
export function rowsOf(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(db.prepare('SELECT count(*) AS n FROM event').get()?.n);
  } finally {
    db.close();
  }
}

/** A folder that goes away with its test. */
export function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'gaia-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Names below a folder that a run leaves while it works, or should not have left: stages, partial archives. */
export function leftBehind(...folders: string[]): string[] {
  return folders.flatMap((each) =>
    readdirSync(each, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.gaia-stage|\.partial|gaia-intruder/.test(name),
    ),
  );
}

const comparer = join(import.meta.dirname, 'compare-trees.py');

/** Empty when the trees are the same in every attribute, else what differs, a line each. */
export async function differences(a: string, b: string, ...flags: string[]): Promise<string> {
  const { exit, stdout, stderr } = await run('python3', [comparer, ...flags, a, b]);
  return exit === 0 ? '' : `${stdout}${stderr}`;
}

/** A copy that keeps everything, made by `cp`, to compare with later. */
export async function copyOf(tree: string, to: string): Promise<string> {
  const { exit, stderr } = await run('cp', ['-a', '--', tree, to]);
  if (exit !== 0) throw new Error(stderr);
  return to;
}

export const isRoot = process.getuid?.() === 0;
