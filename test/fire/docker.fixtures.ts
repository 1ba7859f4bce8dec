import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import {
  engineProgram,
  enginePrograms,
  fileFor,
  isPodman,
  placePlugin,
  podmanIsUsed,
  preparePodman,
  removePlugin,
  resetPodman,
} from './engines.fixtures.ts';

/** A Docker Engine that this test started, or that was there. */
export type Engine = {
  /** Ends and begins anew, as after a reboot of the machine: what restarts by itself does. */
  reboot(): Promise<void>;
  end(): Promise<void>;
};

const startLimitMs = 60_000;
/** How long a test waits for the engine of another test of ours to end. */
const turnLimitMs = 25 * 60_000;
const image = 'leveredge-test/busybox';

/** Why there can be no engine here; undefined when there can. */
export function noEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  for (const program of enginePrograms)
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `no ${program}`;
  // The engine that answers then is that of another test of ours, which ends.
  if (takeTurn() === 'taken') return undefined;
  if (isPodman) return podmanIsUsed();
  if (answers()) return 'a Docker Engine runs already, which is not ours to stop';
  return undefined;
}

const answers = () =>
  spawnSync('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 10_000 }).status === 0;

let turn: DatabaseSync | undefined;

/**
 * One test at a time has an engine, since it answers where Docker usually does: this process, from now on to its end, or another
 * that holds the lock of a file. However that one ends, its lock goes with it.
 */
function takeTurn(): 'ours' | 'taken' {
  if (turn !== undefined) return 'ours';
  const file = new DatabaseSync(join(tmpdir(), `leveredge-fire-${engineProgram}.lock`), { timeout: 0 });
  try {
    file.exec('BEGIN EXCLUSIVE');
    turn = file;
    return 'ours';
  } catch {
    file.close();
    return 'taken';
  }
}

/**
 * Starts an engine with its state in a temporary folder, and makes the one image from Debian's static busybox. Containers use
 * the machine's own network.
 */
export async function startEngine(): Promise<Engine> {
  for (const end = performance.now() + turnLimitMs; takeTurn() === 'taken'; await pause(500))
    if (performance.now() > end) throw new Error('another test has its Docker Engine for too long');
  if (isPodman) return startPodman();
  const folder = mkdtempSync(join(tmpdir(), 'fire-docker-'));
  placePlugin();
  let stop = await launch(folder);
  makeImage();
  return {
    async reboot() {
      await stop();
      stop = await launch(folder);
    },
    async end() {
      removeNetworks();
      await stop();
      removePlugin();
      // What the engine has mounted below it: containers' shared memory, its own data.
      for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n').reverse()) {
        const at = line.split(' ')[1] ?? '';
        if (at.startsWith(`${folder}/`)) spawnSync('umount', ['-l', at]);
      }
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Else their bridges stay on this machine, and after thirty no engine finds addresses for another. */
function removeNetworks(): void {
  const script =
    'docker ps -aq | xargs -r docker rm -f; docker network ls -q --filter type=custom | xargs -r docker network rm';
  spawnSync('sh', ['-c', script]);
}

function makeImage(): void {
  const script = `tar -C "$(dirname "$(command -v busybox)")" -c busybox | ${engineProgram} import - ${image}`;
  execFileSync('sh', ['-c', script], { stdio: 'pipe' });
}

/** Nothing runs of it but containers: a machine that starts again has none of them, and without systemd nothing starts one. */
function startPodman(): Engine {
  preparePodman();
  makeImage();
  return {
    async reboot() {
      spawnSync('podman', ['kill', '--all']);
    },
    async end() {
      resetPodman();
    },
  };
}

async function launch(folder: string): Promise<() => Promise<void>> {
  const log = openSync(join(folder, 'dockerd.log'), 'a');
  const flags = [
    '--storage-driver=vfs',
    `--data-root=${folder}/data`,
    `--exec-root=${folder}/exec`,
    `--pidfile=${folder}/pid`,
  ];
  const child = spawn('dockerd', [...flags, '--bridge=none', '--iptables=false'], { stdio: ['ignore', log, log] });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  for (const end = performance.now() + startLimitMs; !answers(); await pause(200))
    if (performance.now() > end || child.exitCode !== null) {
      child.kill('SIGKILL');
      throw new Error(
        `dockerd did not start:\n${execFileSync('tail', ['-20', join(folder, 'dockerd.log')], { encoding: 'utf8' })}`,
      );
    }
  return async () => {
    child.kill('SIGTERM');
    await ended;
  };
}

/** A compose file with a web server on the machine's own loopback, which serves the folder `site` beside it. */
export function composeFile(port: number): string {
  return fileFor(`version: "3"
services:
  web:
    image: ${image}
    command: ["/busybox", "httpd", "-f", "-v", "-p", "127.0.0.1:${port}", "-h", "/site"]
    network_mode: host
    restart: always
    stop_grace_period: 1s
    volumes: ["./site:/site"]
`);
}
