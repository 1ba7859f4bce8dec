import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import { requireWorked, worked } from '../compose/containers.ts';
import { type Ran, runProgram } from '../source/run-program.ts';
import { systemdOf } from '../systemd/systemd.ts';
import { unitText } from '../target.ts';
import type { MachineFacts, MachineUnit, MachineUser } from './facts.ts';

/** One thing that is missing here, and how it is made. */
export type MachineStep = {
  /** As in a list: `the user owner (1001)`. */
  what: string;
  make(): Promise<void>;
};

/** What there is to do, and what is here and is not as it was, which nobody changes. */
export type MachinePlan = { steps: MachineStep[]; differs: string[] };

const makeMs = 60_000;
/** Debian gives people the numbers above (SYS_UID_MAX). */
const highestOfServices = 999;
const readable = { file: 0o644, folder: 0o755 };

const plainName = /^[a-z_][a-z0-9_.-]{0,31}$/i;
const unitName = /^[A-Za-z0-9_:][A-Za-z0-9_:.@\\-]*\.(service|timer|socket|path)$/;
const absolute = /^\/[^\0\n:]*$/;
/** Where units lie that somebody made: of the machine, of all users, of one. */
const unitPlace = /^(\/etc\/systemd\/(system|user)|\/.+\/\.config\/systemd\/user)\/[^/]+(\/[^/]+)?$/;

/**
 * What a backup knows of its machine. It is signed, and judged all the same: as root, it makes users and writes files.
 * @throws Fault `damaged` when it is not what we write
 */
export function parseMachineFacts(bytes: Buffer): MachineFacts {
  let facts: MachineFacts | undefined;
  try {
    facts = JSON.parse(bytes.toString('utf8')) as MachineFacts;
    if (facts.format === 'leveredge-machine/1' && isSound(facts)) return facts;
  } catch {
    // No JSON, or members are missing.
  }
  throw new Fault('damaged', 'recipe/machine.json of the backup is of a form that is not known here.');
}

function isSound({ users, units, crontabs }: MachineFacts): boolean {
  const isPlace = (text: string) => unitPlace.test(text) && !text.split('/').includes('..');
  return (
    users.every(
      (user) =>
        [user.name, user.group, ...user.groups].every((name) => plainName.test(name)) &&
        [user.uid, user.gid].every((id) => Number.isSafeInteger(id) && id > 0) &&
        [user.home, user.shell].every((each) => absolute.test(each)),
    ) &&
    units.every(
      ({ name, user, files }) =>
        unitName.test(name) &&
        (user === null || plainName.test(user)) &&
        files.every(({ path: at, text }) => isPlace(at) && typeof text === 'string'),
    ) &&
    crontabs.every(({ user, text }) => plainName.test(user) && typeof text === 'string')
  );
}

/**
 * Compares what a backup knows of its machine with this one. Nothing that is here is changed: another program may have put it
 * there. Steps come in the order in which they must be made, and may be repeated.
 */
export async function planMachine(facts: MachineFacts, uid: number): Promise<MachinePlan> {
  const plan: MachinePlan = { steps: [], differs: [] };
  for (const user of facts.users) await planUser(user, plan);
  for (const unit of facts.units) planFiles(unit, plan);
  for (const unit of facts.units) await planEnabled(unit, uid, plan, facts);
  for (const { user, text } of facts.crontabs) await planCrontab(user, text, plan);
  return plan;
}

async function planUser(user: MachineUser, { steps, differs }: MachinePlan): Promise<void> {
  const { name, uid, gid, group, home, groups, linger } = user;
  const here = await entryOf('passwd', name);
  if (here === undefined) {
    const taken = await entryOf('passwd', String(uid));
    if (taken !== undefined) {
      differs.push(`the number ${uid} of the user ${name} belongs to ${taken[0]} here; make ${name} yourself`);
      return;
    }
    if ((await entryOf('group', group)) === undefined && (await entryOf('group', String(gid))) === undefined)
      steps.push({ what: `the group ${group} (${gid})`, make: () => run('groupadd', ['--gid', String(gid), group]) });
    steps.push({ what: `the user ${name} (${uid})`, make: () => run('useradd', userWords(user, existsSync(home))) });
    for (const each of groups) steps.push({ what: `${name} in the group ${each}`, make: () => joinGroup(name, each) });
  } else if (Number(here[2]) !== uid)
    differs.push(`the user ${name} has the number ${here[2]} here, and had ${uid}: its files would be another's`);
  if (linger && !existsSync(`/var/lib/systemd/linger/${name}`))
    steps.push({ what: `${name}'s units run without a login (linger)`, make: () => letLinger(name) });
}

/** What useradd is given. What runs a service is no person: the folder that it calls its home is the service's, or a restore's. */
export function userWords({ name, uid, gid, home, shell }: MachineUser, hasHome: boolean): string[] {
  const isService = uid <= highestOfServices;
  const folder = isService || hasHome ? '--no-create-home' : '--create-home';
  const numbers = ['--uid', String(uid), '--gid', String(gid)];
  return [...(isService ? ['--system'] : []), ...numbers, '--home-dir', home, folder, '--shell', shell, name];
}

/** A group of a program that is not installed is no reason to stop. */
async function joinGroup(user: string, group: string): Promise<void> {
  if ((await entryOf('group', group)) !== undefined) await run('usermod', ['--append', '--groups', group, user]);
}

/** Its systemd comes up a moment later. */
async function letLinger(name: string): Promise<void> {
  await run('loginctl', ['enable-linger', name]);
  const systemd = await systemdOf(name, 0);
  for (let n = 0; n < 100 && !(await systemd.isRunning()); n++) await new Promise((resume) => setTimeout(resume, 100));
}

function planFiles({ files, ...unit }: MachineUnit, { steps, differs }: MachinePlan): void {
  for (const { path, text } of files) {
    if (!existsSync(path))
      steps.push({
        what: path,
        async make() {
          const made = missingFolders(dirname(path));
          makeFolder(dirname(path), readable.folder);
          writeWhole(path, Buffer.from(text));
          await run('chmod', ['644', path]);
          if (unit.user !== null) await run('chown', [`${unit.user}:`, path, ...made]);
        },
      });
    else if (readFileSync(path, 'utf8') !== text) differs.push(`${path} is not as it was`);
  }
}

/** Those that have to be made for a folder, itself first. */
function missingFolders(folder: string): string[] {
  return existsSync(folder) ? [] : [folder, ...missingFolders(dirname(folder))];
}

async function planEnabled(
  unit: MachineUnit,
  uid: number,
  { steps, differs }: MachinePlan,
  facts: MachineFacts,
): Promise<void> {
  if (!unit.enabled || (await isEnabled(unit, uid))) return;
  const isMade = unit.files.length > 0 || facts.users.some(({ name }) => name === unit.user);
  if (!isMade && (unit.user === null || (await entryOf('passwd', unit.user)) === undefined))
    differs.push(`${unitText(unit)} started by itself, and its file is in no backup but that of its folder`);
  steps.push({
    what: `${unitText(unit)} starts by itself`,
    async make() {
      const systemd = await systemdOf(unit.user, uid);
      requireWorked(await systemd.systemctl(['daemon-reload']), 'systemd could not read its units anew');
      requireWorked(await systemd.systemctl(['enable', '--', unit.name]), `${unitText(unit)} could not be enabled`);
    },
  });
}

async function isEnabled(unit: MachineUnit, uid: number): Promise<boolean> {
  try {
    return worked(await (await systemdOf(unit.user, uid)).systemctl(['is-enabled', '--quiet', '--', unit.name]));
  } catch {
    return false; // No such user yet.
  }
}

async function planCrontab(user: string, text: string, { steps, differs }: MachinePlan): Promise<void> {
  const path = `/var/spool/cron/crontabs/${user}`;
  if (existsSync(path)) {
    if (readFileSync(path, 'utf8') !== text) differs.push(`the crontab of ${user} is not as it was`);
    return;
  }
  steps.push({
    what: `the crontab of ${user}`,
    async make() {
      if (!existsSync(dirname(path)))
        throw new Fault('not-found', 'cron is not installed here, and the backup has crontabs.', {
          hint: 'apt-get install cron, and again',
        });
      writeWhole(path, Buffer.from(text));
      await run('chown', [`${user}:crontab`, path]);
      await run('chmod', ['600', path]);
    },
  });
}

async function entryOf(database: 'passwd' | 'group', key: string): Promise<string[] | undefined> {
  const ran: Ran = await runProgram('getent', [database, '--', key], makeMs);
  return worked(ran) ? ran.stdout.trim().split(':') : undefined;
}

async function run(program: string, args: readonly string[]): Promise<void> {
  requireWorked(await runProgram(program, args, makeMs), `${program} did not work`);
}
