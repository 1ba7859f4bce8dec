import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from './postgres.ts';

const startLimitMs = 10_000;

/** A store that listens on a port of its own and keeps its data in a folder of its own. */
export type Store = { port: number; stop(): Promise<void> };

/** Debian's Redis that syncs its log before it answers (`appendfsync always`); no snapshots beside it. */
export async function startRedis(core: string | undefined, env: Record<string, string> | undefined): Promise<Store> {
  const port = await freePort();
  const own = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
  ];
  return startStore((folder) => ['redis-server', ...own, '--dir', folder], port, core, env);
}

/** Debian's NATS with JetStream in files. Version 2.9 has no setting for syncs: it syncs every two minutes. */
export async function startNats(core: string | undefined, env: Record<string, string> | undefined): Promise<Store> {
  const port = await freePort();
  return startStore(
    (folder) => ['nats-server', '-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder],
    port,
    core,
    env,
  );
}

async function startStore(
  commandIn: (folder: string) => string[],
  port: number,
  core: string | undefined,
  env: Record<string, string> | undefined,
): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-store-'));
  const command = [...(core === undefined ? [] : ['taskset', '-c', core]), ...commandIn(folder)];
  const child = spawn(command[0] as string, command.slice(1), { stdio: 'ignore', env: { ...process.env, ...env } });
  const end = performance.now() + startLimitMs;
  while (!(await listens(port))) {
    if (performance.now() > end || child.exitCode !== null) throw new Error(`${command.join(' ')} did not start.`);
    await pause(20);
  }
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          rmSync(folder, { recursive: true, force: true });
          resolve();
        });
        child.kill('SIGTERM');
      }),
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
