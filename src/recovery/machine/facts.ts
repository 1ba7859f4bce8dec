import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { worked } from '../compose/containers.ts';
import { runProgram } from '../source/run-program.ts';
import { type Systemd, systemdOf } from '../systemd/systemd.ts';
import type { Target, TargetUnit } from '../target.ts';

/** What a target needs of its machine, and which lies in none of its folders; `recipe/machine.json` in a backup. */
export type MachineFacts = {
  format: 'leveredge-machine/1';
  host: { name: string; timezone: string | null };
  users: MachineUser[];
  units: MachineUnit[];
  crontabs: { user: string; text: string }[];
  /** What could not be found out, as sentences. */
  notes: string[];
};

export type MachineUser = {
  name: string;
  uid: number;
  gid: number;
  group: string;
  home: string;
  shell: string;
  /** Of further groups, by name. */
  groups: string[];
  /** Its units run without a login. */
  linger: boolean;
};

export type MachineUnit = TargetUnit & {
  /** Starts with the machine, or with its user's systemd. */
  enabled: boolean;
  /** Its file and its drop-ins, absolute; none where they lie in a folder of the target. */
  files: { path: string; text: string }[];
};

const askMs = 20_000;
const maxFileBytes = 256 * 1024;

/**
 * Finds out what units, users and crontabs a target has on this machine. Crontabs belong to control-plane, as the machine's own
 * are nobody else's. Never throws: what cannot be found out is noted, and no reason to have no backup.
 */
export async function machineFacts(target: Target, uid: number): Promise<MachineFacts> {
  const notes: string[] = [];
  const units: MachineUnit[] = [];
  const runAs: string[] = [];
  for (const unit of target.units ?? []) {
    const found = await unitFacts(unit, target, uid).catch((error: unknown) => {
      notes.push(`${unit.name}: ${error instanceof Error ? error.message : String(error)}`);
    });
    if (found === undefined) continue;
    units.push(found.facts);
    if (found.runsAs !== undefined) runAs.push(found.runsAs);
  }
  const users: MachineUser[] = [];
  const tables = target.name === 'control-plane' && uid === 0 ? crontabs() : [];
  const owners = tables.flatMap(({ user }) => (user === 'root' ? [] : user));
  for (const name of new Set([...(await namesOf(target)), ...runAs, ...owners])) {
    const user = await userFacts(name);
    // A number instead of a name may be that of one who is among them.
    if (user !== undefined && user.uid !== 0 && users.every(({ uid }) => uid !== user.uid)) users.push(user);
  }
  return {
    format: 'leveredge-machine/1',
    host: { name: hostname(), timezone: readText('/etc/timezone')?.trim() ?? null },
    users,
    units,
    crontabs: tables,
    notes,
  };
}

/** Whose systemd has its units, and whose the target's folders are. Root is everywhere. */
async function namesOf({ units = [], trees }: Target): Promise<Set<string>> {
  const names = new Set(units.flatMap(({ user }) => user ?? []));
  const uids = new Set(trees.flatMap(({ root }) => statSync(root, { throwIfNoEntry: false })?.uid ?? []));
  for (const uid of uids) {
    const [name] = (await passwd(String(uid))) ?? [];
    if (name !== undefined) names.add(name);
  }
  names.delete('root');
  return names;
}

async function passwd(key: string): Promise<string[] | undefined> {
  const ran = await runProgram('getent', ['passwd', '--', key], askMs);
  return worked(ran) ? ran.stdout.trim().split(':') : undefined;
}

async function userFacts(key: string): Promise<MachineUser | undefined> {
  const [name = '', , uid, gid, , home = '/', shell = '/usr/sbin/nologin'] = (await passwd(key)) ?? [];
  if (name === '') return undefined;
  const group = await runProgram('id', ['-gn', '--', name], askMs);
  const all = await runProgram('id', ['-Gn', '--', name], askMs);
  const own = group.stdout.trim();
  return {
    ...{ name, uid: Number(uid), gid: Number(gid), group: own, home, shell },
    groups: all.stdout
      .trim()
      .split(' ')
      .filter((each) => each !== '' && each !== own),
    linger: existsSync(`/var/lib/systemd/linger/${name}`),
  };
}

type UnitFacts = { facts: MachineUnit; runsAs: string | undefined };

async function unitFacts(unit: TargetUnit, { trees }: Target, uid: number): Promise<UnitFacts> {
  const systemd: Systemd = await systemdOf(unit.user, uid);
  const asked = '--property=FragmentPath,DropInPaths,UnitFileState,User,DynamicUser';
  const shown = await systemd.systemctl(['show', asked, '--', unit.name]);
  const value = (key: string) => valueIn(shown.stdout, key);
  const paths = [value('FragmentPath'), ...value('DropInPaths').split(' ')].filter((path) => path !== '');
  const files = paths
    .filter((path) => !trees.some(({ root }) => path.startsWith(`${root}/`)))
    // What Debian has installed comes with its package, and a hold of ours is of a restore.
    .filter((path) => !/^\/(usr\/)?lib\/|^\/run\/|\/zz-gaia-restore-/.test(path))
    .flatMap((path) => {
      const text = readText(path);
      return text === undefined ? [] : [{ path, text }];
    });
  const facts = { ...unit, enabled: /^enabled/.test(value('UnitFileState')), files };
  return { facts, runsAs: unit.user === null ? runsAsIn(shown.stdout) : undefined };
}

const valueIn = (shown: string, key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(shown)?.[1] ?? '';

/** As whom a unit of the machine runs, where that is a user who must be there before it starts; by name or number. */
export function runsAsIn(shown: string): string | undefined {
  // A dynamic one is made by systemd for as long as the unit runs.
  if (valueIn(shown, 'DynamicUser') === 'yes') return undefined;
  const user = valueIn(shown, 'User');
  return ['', 'root', '0'].includes(user) ? undefined : user;
}

function crontabs(): MachineFacts['crontabs'] {
  const folder = '/var/spool/cron/crontabs';
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((user) => {
    const text = readText(join(folder, user));
    return text === undefined ? [] : [{ user, text }];
  });
}

function readText(path: string): string | undefined {
  try {
    const found = statSync(path);
    return found.isFile() && found.size <= maxFileBytes ? readFileSync(path, 'utf8') : undefined;
  } catch {
    return undefined; // Not there, or not for us.
  }
}
