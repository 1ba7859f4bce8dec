import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { folder, gaiaLauncher, makeStand, run, type Stand } from './gaia.fixtures.ts';

type Test = Parameters<typeof folder>[0];

/** The programs that these tests cannot do without and that are not here. */
export function notHere(...programs: string[]): string | undefined {
  return programs.find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
}

/**
 * An empty repository as `restic init` makes it, for the password `pw`. restic makes its keys so that each opening takes half
 * a second; this one has the cheapest key there can be (N = 2), because tests open it hundreds of times.
 */
const emptyRepository: Readonly<Record<string, Buffer>> = {
  'keys/092124a8e8d7295aa707052611f663f0469a8c5a84c32c27c5bb20be783eef85': Buffer.from(
    '{"created":"2026-01-01T00:00:00Z","username":"","hostname":"","kdf":"scrypt","N":2,"r":8,"p":1,"salt":"WiYBTDXpi5TwM/NrSjBYIaIk0fuurJnEbmXXzJMwSrzw2Ues7jWIts0Fs+0/GlrQw7x9clxSLe2hjl+qfsJLcQ==","data":"CE3hXRfTDCGLdcQMj2QNeDcR69jTITD/bUvB13A7tgtvOXQ3G/SrpzerjiNz75frXaYQwLCoFceHrs84c9ojDezhABSQehq4fy6DKO5flKMhN+CQJX0yrSSNqkqVT7TBuG1s4FWi65DBSNsxBiY9fu9ywkz/Yuh+qHLzeiF1bjsdpEvEj7n54ZuCyddvga0ebx/TSp08KHpd2HjUMJYvWg=="}',
  ),
  config: Buffer.from(
    'u2KsxHkuPNwEBDPnVQlDkzndZCZFA3O9p6QsFO2ENxHI//1CWowvTNioFrjtdgFZLBFIH9o8+ghUZc94XZfnBDdMQTUpbiXAvWbD0F1Kfoc88yOOk0nHibpuWDc1DIctQRIoBLBipHG1Mt5T+W9+6Q/4vWQ6MhVvUNrqVW7iCS0jFR+HMK1NvB8JWOENutzk+XQztityoawlSH4=',
    'base64',
  ),
};

export type ResticStand = Stand & {
  /** The repository's own folder, also where it is reached through a server. */
  repository: string;
  passwordFile: string;
  /** restic with the stand's repository, password and cache. */
  restic(...args: string[]): Promise<string>;
  /** The command line and environment of GAIA, for what starts it otherwise. */
  command(...args: string[]): { program: string; args: string[]; env: NodeJS.ProcessEnv };
};

type ResticLayout = NonNullable<Parameters<typeof makeStand>[1]> & {
  /** As the configuration has it; the repository itself if not said. */
  address?: string;
  /** Where the repository lies. */
  repository?: string;
};

/** A stand whose backups of `dev` go into a repository of restic. */
export function makeResticStand(t: Test, layout: ResticLayout = {}): ResticStand {
  const home = layout.home ?? folder(t);
  const repository = layout.repository ?? join(home, 'repository');
  const passwordFile = join(home, 'gaia', '.restic-password');
  layEmptyRepository(repository);
  mkdirSync(join(home, 'gaia'), { recursive: true });
  writeFileSync(passwordFile, 'pw\n', { mode: 0o600 });
  const cache = join(home, 'cache');
  writeFileSync(join(home, 'gaia', 'restic.env'), `RESTIC_CACHE_DIR=${cache}\n`, { mode: 0o600 });
  const lines = [
    'health: none',
    'engine: restic',
    `restic: { repository: "${layout.address ?? repository}", environment_file: gaia/restic.env }`,
    ...(layout.more === undefined ? [] : [layout.more]),
  ];
  const stand = makeStand(t, { ...layout, home, more: lines.join('\n') });
  return {
    ...stand,
    repository,
    passwordFile,
    async restic(...args) {
      const env = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD_FILE: passwordFile, RESTIC_CACHE_DIR: cache };
      const { exit, stdout, stderr } = await run('restic', args, env);
      if (exit !== 0) throw new Error(`restic ${args.join(' ')}: ${stderr}`);
      return stdout;
    },
    command: (...args) => ({
      program: process.execPath,
      args: [gaiaLauncher, ...args, '--config', stand.config],
      env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', LEVEREDGE_HOME: home },
    }),
  };
}

/** Lays one there; its password is `pw`. */
export function layEmptyRepository(at: string): void {
  for (const name of ['data', 'index', 'keys', 'locks', 'snapshots']) mkdirSync(join(at, name), { recursive: true });
  for (let n = 0; n < 256; n++) mkdirSync(join(at, 'data', n.toString(16).padStart(2, '0')), { recursive: true });
  for (const [name, bytes] of Object.entries(emptyRepository)) writeFileSync(join(at, name), bytes, { mode: 0o600 });
}

/** A file in a repository, made writable first: restic makes its own 0400. */
export function overwrite(file: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(file);
  change(bytes);
  chmodSync(file, 0o600);
  writeFileSync(file, bytes);
}

/** The packs of a repository, largest first. */
export function packsOf(repository: string): string[] {
  const data = join(repository, 'data');
  return (readdirSync(data, { recursive: true }) as string[])
    .filter((name) => /\/[0-9a-f]{64}$/.test(name))
    .map((name) => ({ file: join(data, name), size: statSync(join(data, name), { throwIfNoEntry: false })?.size ?? 0 }))
    .sort((a, b) => b.size - a.size)
    .map(({ file }) => file);
}

/** What looks like a backup in a folder of backups: pointers, manifests, and what a run works in. */
export function backupFiles(backups: string): string[] {
  if (!existsSync(backups)) return [];
  return (readdirSync(backups, { recursive: true }) as string[]).filter((name) =>
    /\.restic(-set)?(\/|$)|manifest\.json|\.partial|\.tar\.zst/.test(name),
  );
}

export type Server = { address: string; pid: number; stop(): Promise<void>; start(): Promise<void> };

/** A REST server of rclone for a repository, which asks for a password. It ends with its test. */
export async function serve(t: Test, repository: string): Promise<Server> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const server: Server = {
    address: `rest:http://me:hunter2@127.0.0.1:${port}/`,
    get pid() {
      return child?.pid ?? 0;
    },
    async start() {
      const flags = ['serve', 'restic', '--addr', `127.0.0.1:${port}`, '--user', 'me', '--pass', 'hunter2'];
      const started = spawn('rclone', [...flags, '--config', '', repository], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH: process.env.PATH, HOME: dirname(repository) },
      });
      child = started;
      started.stderr.resume();
      for (let n = 0; n < 200; n++) {
        const answer = await fetch(`http://127.0.0.1:${port}/config`, { method: 'HEAD' }).catch(
          () => undefined /* not there yet */,
        );
        if (answer?.status === 401) return;
        await pause(25);
      }
      throw new Error('rclone does not serve');
    },
    async stop() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
  t.after(() => void server.stop());
  await server.start();
  return server;
}

/** A port of the loopback that nobody has just now. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Command lines of each restic that works below a folder. */
export function resticsAt(home: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // It has ended.
      }
    })
    .filter((line) => line.startsWith('restic ') && line.includes(home));
}

export type Running = { child: ChildProcess; ended: Promise<{ exit: number | null; stderr: string; stdout: string }> };

/** GAIA while it works. */
export function start(stand: ResticStand, ...args: string[]): Running {
  const { program, args: words, env } = stand.command(...args);
  const child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 150_000 });
  let stderr = '';
  let stdout = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  const ended = new Promise<{ exit: number | null; stderr: string; stdout: string }>((resolve) =>
    child.on('close', (exit) => resolve({ exit, stderr, stdout })),
  );
  return { child, ended };
}

/** Waits until something is so; fails after half a minute. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const began = performance.now();
  while (!isSo()) {
    if (performance.now() - began > 30_000) throw new Error(`it never came to it: ${what}`);
    await pause(3);
  }
}

/** MiB of a tree that do not compress. */
export function fill(root: string, mebibytes: number): void {
  for (let n = 0; n < mebibytes; n++) {
    const bytes = Buffer.alloc(1024 * 1024);
    for (let at = 0; at < bytes.length; at += 65536) bytes.set(crypto.getRandomValues(new Uint8Array(65536)), at);
    writeFileSync(join(root, `random-${n}`), bytes);
  }
}
