import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { machineName } from './machine.fixtures.ts';

/** A server that a machine reaches over its network, as one that stands elsewhere: it keeps what it has when the machine is lost. */
export type RepositoryServer = { end(): Promise<void> };

const port = 8010;
const startLimitMs = 20_000;

/** Where a machine finds it. Whoever has this may change everything in it. */
export const repositoryAddress = `rest:http://owner:a-long-word@127.0.0.1:${port}/`;

/** Why there can be none here; undefined when there can. */
export function noRepositoryServer(): string | undefined {
  const missing = ['rclone', 'restic', 'nsenter'].find(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  return missing === undefined ? undefined : `no ${missing}`;
}

/** Serves a repository of restic, in a folder of this machine, to the one in the container, which has no other network. */
export async function serveRepository(folder: string): Promise<RepositoryServer> {
  const pid = execFileSync('docker', ['inspect', '--format', '{{.State.Pid}}', machineName], { encoding: 'utf8' });
  const within = ['--target', pid.trim(), '--net'];
  const flags = ['serve', 'restic', '--addr', `127.0.0.1:${port}`, '--user', 'owner', '--pass', 'a-long-word'];
  const server = spawn('nsenter', [...within, 'rclone', ...flags, '--config', '', folder], { stdio: 'ignore' });
  const asked = `exec 3<>/dev/tcp/127.0.0.1/${port}`;
  for (const end = performance.now() + startLimitMs; ; await pause(50)) {
    if (spawnSync('nsenter', [...within, 'bash', '-c', asked], { stdio: 'ignore' }).status === 0) break;
    if (performance.now() > end || server.exitCode !== null) throw new Error('the repository is not served');
  }
  return {
    async end() {
      if (server.exitCode !== null || server.signalCode !== null) return;
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    },
  };
}
