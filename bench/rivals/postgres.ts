import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const root = '/usr/lib/postgresql';
const startLimitMs = 20_000;

export type Postgres = { connectionString: string; version: string; stop(): Promise<void> };

/**
 * Starts Debian's PostgreSQL with its defaults (fsync and synchronous_commit on) in a folder and on a port of its own;
 * as the user postgres when the bench runs as root, since a server refuses root. A sentence when it cannot.
 */
export async function startPostgres(core: string | undefined): Promise<Postgres | string> {
  const version = existsSync(root) ? readdirSync(root).sort().at(-1) : undefined;
  if (!version) return `no PostgreSQL under ${root} (Debian: apt-get install postgresql)`;
  const bin = join(root, version, 'bin');
  const asRoot = process.getuid?.() === 0;
  const user = asRoot ? idOf('postgres') : undefined;
  const data = mkdtempSync(join(tmpdir(), 'bench-postgres-'));
  if (user) chownSync(data, user.uid, user.gid);
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'bench', '-A', 'trust', '--locale=C', '-E', 'UTF8'], {
    stdio: 'ignore',
    ...user,
  });
  const port = await freePort();
  const serve = [join(bin, 'postgres'), '-D', data, '-p', String(port), '-k', data, '-c', 'listen_addresses=127.0.0.1'];
  const command = core === undefined ? serve : ['taskset', '-c', core, ...serve];
  const child = spawn(command[0] as string, command.slice(1), { stdio: 'ignore', ...user });
  await untilReady(bin, port, child);
  return {
    connectionString: `postgres://bench@127.0.0.1:${port}/postgres`,
    version,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          rmSync(data, { recursive: true, force: true });
          resolve();
        });
        child.kill('SIGINT');
      }),
  };
}

async function untilReady(bin: string, port: number, child: ChildProcess): Promise<void> {
  const end = performance.now() + startLimitMs;
  while (performance.now() < end && child.exitCode === null) {
    try {
      execFileSync(join(bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
      return;
    } catch {
      // Not yet; asked again until the limit.
      await pause(100);
    }
  }
  throw new Error(`PostgreSQL did not start within ${startLimitMs} ms.`);
}

function idOf(name: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** A port nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
