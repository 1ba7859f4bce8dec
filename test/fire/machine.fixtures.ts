import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../recovery/gaia.fixtures.ts';
import { noEngine } from './docker.fixtures.ts';
import { onTerminal, type Terminal } from './terminal.fixtures.ts';

type Ended = Awaited<ReturnType<typeof run>>;

/** A Debian with systemd as its first process, in a container, with GAIA's executable and Node. It has no network but its own loopback. */
export type Machine = {
  /** Runs a command of the shell as root, whatever its end; ended after two minutes if nobody says another time. */
  sh(command: string, limitMs?: number): Promise<Ended>;
  /** The same, and what it printed; fails when it does not end well. */
  well(command: string): Promise<string>;
  write(path: string, text: string): void;
  /** Runs a command as somebody who sits before it. */
  terminal(command: string, options?: Parameters<typeof onTerminal>[2]): Promise<Terminal>;
  /** GAIA; other variables of its environment stand before it. */
  gaia(words: string, env?: string): Promise<Ended>;
  /** GAIA in the shell's own process until it stops itself at that point (its name), where it is killed. @throws when it ends before */
  dieAt(point: string, words: string): Promise<void>;
  /** Power is lost and comes back: no process ends in order. */
  reboot(): Promise<void>;
  /** Nothing of it is left. */
  destroy(): void;
};

type Options = {
  /** Without GAIA and Node: nothing but Debian. */
  bare?: boolean;
  /** As `docker run --volume` takes them. */
  volumes?: readonly string[];
};

const image = 'leveredge-test/machine';
/** Of the container that it is. */
export const machineName = 'leveredge-test-machine';
const name = machineName;
const packages = 'systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,libatomic1,libstdc++6';
/** Debian as debootstrap made it, for all tests that need a machine; made anew after some days, for what Debian has mended. */
const cache = join(import.meta.dirname, '../../node_modules/.cache/leveredge-machine');
const cached = join(cache, `${hash('sha256', packages).slice(0, 16)}.tar`);
const maxCacheAgeMs = 3 * 24 * 3_600_000;
/** On a machine of its own systemd does that itself; without it no service gets its credentials. */
const boot = 'mount --make-rshared / && exec /sbin/init';
const bootLimitMs = 60_000;
const stopLimitMs = 60_000;
const pidFile = '/run/gaia.pid';

/** Why there can be no machine here; undefined when there can. */
export function noMachine(): string | undefined {
  if (spawnSync('sh', ['-c', 'command -v debootstrap']).status !== 0) return 'no debootstrap';
  return noEngine();
}

/** Makes and boots a machine on the engine that runs; it ends with the engine. The first of these days takes a minute. */
export async function startMachine(dist: string, { bare = false, volumes = [] }: Options = {}): Promise<Machine> {
  if (spawnSync('docker', ['image', 'inspect', image]).status !== 0) await makeImage();
  // Not --privileged, which is more than systemd needs and is refused in places. SYS_PTRACE is for the engine within: without
  // it nobody enters a container whose first process is not root's.
  // DAC_READ_SEARCH, which a real machine has, is for the agents that read what is root's.
  const rights = ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'DAC_READ_SEARCH'].map((right) => `--cap-add=${right}`);
  const secure = ['--security-opt=apparmor=unconfined', '--security-opt=seccomp=unconfined'];
  const mounts = [
    '/sys/fs/cgroup:/sys/fs/cgroup:rw',
    ...(bare ? [] : [`${join(dist, 'gaia')}:/usr/local/bin/gaia:ro`, `${process.execPath}:/usr/local/bin/node:ro`]),
    ...volumes,
  ].map((mount) => `--volume=${mount}`);
  const own = ['--network=none', '--tmpfs=/run', '--tmpfs=/tmp', '--env=container=docker'];
  const flags = ['--detach', `--name=${name}`, ...own, ...rights, ...secure, ...mounts];
  execFileSync('docker', ['run', ...flags, image, 'sh', '-c', boot], { stdio: 'pipe' });
  await booted();
  return {
    sh,
    well,
    write: (path, text) =>
      void execFileSync('docker', ['exec', '-i', name, 'sh', '-c', `mkdir -p "$(dirname ${path})" && cat >${path}`], {
        input: text,
      }),
    terminal: (command, options) => onTerminal(name, command, options),
    gaia: (words, env = '') => sh(`${env} gaia ${words}`),
    dieAt,
    async reboot() {
      execFileSync('docker', ['restart', '--time=0', name], { stdio: 'pipe' });
      await booted();
    },
    destroy: () => void execFileSync('docker', ['rm', '--force', '--volumes', name], { stdio: 'pipe' }),
  };
}

async function makeImage(): Promise<void> {
  const ageMs = existsSync(cached) ? Date.now() - statSync(cached).mtimeMs : Number.POSITIVE_INFINITY;
  if (ageMs > maxCacheAgeMs) await makeDebian();
  const imported = await run('docker', ['import', cached, image]);
  if (imported.exit !== 0) throw new Error(imported.stderr);
}

async function makeDebian(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fire-machine-'));
  // Made by debootstrap, so that everyone in the machine may enter it.
  const root = join(folder, 'root');
  try {
    const made = await new Promise<string>((resolve) => {
      const child = spawn('debootstrap', ['--variant=minbase', `--include=${packages}`, 'bookworm', root]);
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (more) => {
          text += more;
        });
      child.on('close', (code) => resolve(code === 0 ? '' : text.split('\n').slice(-10).join('\n')));
    });
    if (made !== '') throw new Error(`debootstrap made no Debian:\n${made}`);
    mkdirSync(cache, { recursive: true });
    const partial = `${cached}.${process.pid}.partial`;
    const packed = await run('tar', ['-C', root, '-cf', partial, '.']);
    if (packed.exit !== 0) throw new Error(packed.stderr);
    renameSync(partial, cached);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const sh = (command: string, limitMs?: number) => run('docker', ['exec', name, 'sh', '-c', command], {}, limitMs);

async function well(command: string): Promise<string> {
  const { exit, stdout, stderr } = await sh(command);
  if (exit !== 0) throw new Error(`${command}: exit ${exit}\n${stdout}${stderr}`);
  return stdout.trim();
}

async function booted(): Promise<void> {
  let state = '';
  for (const end = performance.now() + bootLimitMs; !/^(running|degraded)$/.test(state); await pause(100)) {
    if (performance.now() > end) throw new Error(`the machine is ${state} and not up`);
    state = (await sh('systemctl is-system-running')).stdout.trim();
  }
}

async function dieAt(point: string, words: string): Promise<void> {
  const command = `echo $$ >${pidFile}; GAIA_STOP_AT='${point}' exec gaia ${words} --here`;
  let ended: Awaited<ReturnType<typeof sh>> | undefined;
  const over = sh(command).then((how) => {
    ended = how;
  });
  for (const end = performance.now() + stopLimitMs; ended === undefined && performance.now() < end; await pause(50)) {
    const { stdout } = await sh(`cat /proc/$(cat ${pidFile})/status`);
    if (!/^State:\s+T/m.test(stdout)) continue;
    await well(`kill -9 $(cat ${pidFile})`);
    return over;
  }
  await over;
  throw new Error(`it did not stop ${point}: ${JSON.stringify(ended)}`);
}
