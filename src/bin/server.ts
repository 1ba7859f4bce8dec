import { execFileSync, type SpawnOptions, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { agentNames } from '../channels/cli/door.ts';
import type { Entry, Found, Server, Step, Systemd, UnitState } from '../channels/cli/init/step.ts';
import type { Env } from './bus-settings.ts';
import { emergencyBot } from './emergency-bot.ts';

type Started = { program: string; started: string | undefined; env: Env };

/** A file that is compared is a unit, and no unit is larger. */
const maxTextBytes = 64 * 1024;
const commandLimitMs = 90_000;

/** This machine, as init looks at it and changes it. */
export function serverFor({ program, started, env }: Started): Server {
  const programOf = (name: string) => {
    const launcher = join(program, 'bin', `${name}.mjs`);
    return existsSync(launcher) || started === undefined ? launcher : join(dirname(resolve(started)), `${name}.mjs`);
  };
  return {
    isRoot: process.getuid?.() === 0,
    hasSystemd: existsSync('/run/systemd/system'),
    node: process.execPath,
    programs: { leveredge: programOf('leveredge'), gaia: programOf('gaia'), ...agentPrograms(program) },
    units: { system: '/etc/systemd/system', user: join(configFolder(env), 'systemd', 'user') },
    links: '/usr/local/bin',
    look,
    uidOf,
    barred,
    unitState,
    emergencyBot: (home) => emergencyBot(home, [process.execPath, programOf('gaia')], env.GAIA_CONFIG || undefined),
    make: (step) => make(step, programOf('leveredge')),
  };
}

/** Those of the agents, which a bundle copied elsewhere has not. */
function agentPrograms(program: string): Record<string, string> {
  const all = agentNames.map((name) => [name, join(program, 'bin', `${name}.mjs`)] as const);
  return Object.fromEntries(all.filter(([, launcher]) => existsSync(launcher)));
}

function configFolder({ XDG_CONFIG_HOME, HOME }: Env): string {
  if (XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME)) return XDG_CONFIG_HOME;
  return join(HOME || homedir(), '.config');
}

function look(path: string): Found {
  try {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return { kind: 'nothing' };
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return { kind: 'dangling' };
    const { mode, uid } = stats;
    const real = realpathSync(path);
    if (stats.isDirectory()) return { kind: 'folder', mode, uid, entries: entriesOf(path), real };
    if (stats.isFile()) return { kind: 'file', mode, uid, text: textOf(path, stats), real };
    return { kind: 'other' };
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    // Something above it is no folder, which is told of that.
    return code === 'ENOTDIR' ? { kind: 'nothing' } : { kind: 'hidden', code };
  }
}

function entriesOf(folder: string): Entry[] {
  return readdirSync(folder).flatMap((name) => {
    const stats = lstatSync(join(folder, name), { throwIfNoEntry: false });
    return stats === undefined ? [] : [{ name, isFile: stats.isFile(), mode: stats.mode, uid: stats.uid }];
  });
}

function textOf(path: string, { size }: Stats): string | undefined {
  try {
    return size > maxTextBytes ? undefined : readFileSync(path, 'utf8');
  } catch {
    return undefined; // A secret of somebody else: it is there, and that is all there is to know.
  }
}

function uidOf(user: string): number | undefined {
  const { status, stdout } = spawnSync('id', ['-u', '--', user], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : undefined;
}

/** By the mode alone: rights that an access list gives beyond it are not seen. */
function barred(path: string, user: string): string | undefined {
  const uid = uidOf(user);
  const ways = [path];
  for (let each = path; dirname(each) !== each; each = dirname(each)) ways.unshift(dirname(each));
  return ways.find((each) => {
    const stats = statSync(each, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    const isOwn = stats.uid === uid;
    const bits = isOwn ? stats.mode >> 6 : stats.mode;
    return (bits & (stats.isDirectory() ? 0o1 : 0o4)) === 0;
  });
}

function make(step: Step, program: string): void {
  switch (step.kind) {
    case 'user':
      run('useradd', [
        '--system',
        '--user-group',
        '--no-create-home',
        '--home-dir',
        step.home,
        '--shell',
        '/usr/sbin/nologin',
        step.name,
      ]);
      return;
    case 'reach':
      return; // Somebody else must settle that.
    case 'folder':
      makeFolderFor(step.path, step.mode, step.owner);
      return;
    case 'file':
      makeFolderFor(dirname(step.path), 0o755, undefined);
      writeNew(step.path, step.text, step.mode);
      return;
    case 'link':
      makeFolderFor(dirname(step.path), 0o755, undefined);
      symlinkSync(step.to, step.path);
      return;
    case 'token':
      makeToken(step, program);
      return;
    case 'service':
      run('systemctl', [...scope(step.manager), 'daemon-reload']);
      run('systemctl', [...scope(step.manager), 'enable', '--quiet', '--now', step.unit]);
  }
}

/** By the command that is there for it, as the user whose the database and the folder of tokens are. */
function makeToken(
  { name, scopes, path, home, owner, maker }: Extract<Step, { kind: 'token' }>,
  program: string,
): void {
  const as = maker === undefined ? {} : { uid: uidOf(maker) as number, gid: groupOf(maker) };
  const words = ['token', 'create', name, '--kind', 'agent', ...scopes.flatMap((scope) => ['--scope', scope])];
  run(process.execPath, [program, ...words, '--file', path, '--home', home, '--quiet'], { ...as, cwd: '/' });
  if (owner !== undefined) lchownSync(path, uidOf(owner) as number, groupOf(owner));
}

/** With exactly this mode, whatever the umask; those above it that are missing may be passed by everyone. */
function makeFolderFor(path: string, mode: number, owner: string | undefined): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(path) !== path) makeFolderFor(dirname(path), 0o755, undefined);
  mkdirSync(path, { mode: 0o700 });
  const uid = owner === undefined ? undefined : uidOf(owner);
  if (owner !== undefined) lchownSync(path, uid as number, groupOf(owner));
  chmodSync(path, mode);
}

function groupOf(user: string): number {
  return Number(execFileSync('id', ['-g', '--', user], { encoding: 'utf8' }));
}

/** On disk when this returns; a file that is there already is an error. */
function writeNew(path: string, text: string, mode: number): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    fchmodSync(fd, mode);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

const scope = (manager: Systemd) => (manager === 'user' ? ['--user'] : []);

const enabled = ['enabled', 'enabled-runtime', 'linked', 'static', 'alias', 'generated'];
const asked = 'UnitFileState,ActiveState,SubState,NeedDaemonReload,ExecMainStatus';

function unitState(unit: string, manager: Systemd): UnitState {
  const words = [...scope(manager), 'show', `--property=${asked}`, unit];
  const { stdout } = spawnSync('systemctl', words, { encoding: 'utf8', timeout: commandLimitMs });
  const of = new Map((stdout ?? '').split('\n').map((line) => line.split('=', 2) as [string, string]));
  // One that is started again after each failure is not failed for systemd.
  const hasFailed = of.get('ActiveState') === 'failed' || of.get('SubState') === 'auto-restart';
  return {
    isEnabled: enabled.includes(of.get('UnitFileState') ?? ''),
    runs: of.get('ActiveState') === 'active',
    isStale: of.get('NeedDaemonReload') === 'yes',
    exit: hasFailed ? Number(of.get('ExecMainStatus')) : undefined,
  };
}

/** @throws what the program said, or that there is none */
function run(program: string, words: readonly string[], options: Pick<SpawnOptions, 'uid' | 'gid' | 'cwd'> = {}): void {
  const { status, error, stderr } = spawnSync(program, words, {
    ...{ encoding: 'utf8', timeout: commandLimitMs, ...options },
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${stderr.trim() || `exit ${status}`}`);
}
