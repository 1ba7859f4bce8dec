import { basename, join } from 'node:path';
import { shellWord } from '../../../base/shell-word.ts';
import type { Entry, FolderStep, Found, Needs, Server, Step } from './step.ts';
import { unitHead } from './unit-text.ts';

/** What a step comes to before anything is done. `remark`: it counts as there, with something to know. */
export type Verdict =
  | { kind: 'there'; remark?: string }
  | { kind: 'missing' }
  /** It comes once a person has set it up. */
  | { kind: 'not yet'; says: string; todo?: string }
  /** What is there is not what should be. It is left alone. `isInTheWay`: nothing can be made below it. */
  | { kind: 'wrong'; says: string; todo: string; isInTheWay?: true };

type Looking = Omit<Server, 'make'>;

/** As people have written it into a file by hand. */
const printedByGaia = '# Printed by gaia ';
/** In the folder of the bus' user, from whose hand it must not be: docs/security-model.md. */
const gaiasKey = 'gaia-confirms.pub';
const writableForAll = 0o002;
const forOthers = 0o077;

/** Looks whether this is there, and as it should be. Changes nothing. */
export function judge(step: Step, server: Looking): Verdict {
  switch (step.kind) {
    case 'user':
      return server.uidOf(step.name) === undefined ? { kind: 'missing' } : { kind: 'there' };
    case 'reach':
      return judgeReach(step, server);
    case 'folder':
      return judgeFolder(step, server);
    case 'file':
      return judgeFile(step, server.look(step.path));
    case 'link':
      return judgeLink(step, server);
    case 'token':
      return judgeToken(step, server);
    case 'service':
      return judgeService(step, server);
  }
}

function judgeToken(step: Extract<Step, { kind: 'token' }>, server: Looking): Verdict {
  const { path, owner } = step;
  const found = server.look(path);
  const uid = owner === undefined ? undefined : server.uidOf(owner);
  if (found.kind !== 'file' || uid === undefined || found.uid === uid)
    return judgeFile({ ...step, kind: 'file', mode: 0o600, text: '' }, found);
  return {
    kind: 'wrong',
    says: `is not of the user ${owner}, who must read it`,
    todo: `chown ${owner}: ${shellWord(path)}`,
  };
}

function judgeService({ unit, manager, needs }: Extract<Step, { kind: 'service' }>, server: Looking): Verdict {
  const lacks = lacking(needs ?? [], server);
  if (lacks.length > 0) {
    const todo = setUpCommands(lacks);
    return { kind: 'not yet', says: 'it is not set up', ...(todo === '' ? {} : { todo }) };
  }
  if (!server.hasSystemd)
    return {
      kind: 'wrong',
      says: 'systemd does not run here',
      todo: 'Start it by hand (leveredge up: the bus and the agents), or by what starts programs here.',
    };
  const { isEnabled, runs } = server.unitState(unit, manager);
  if (isEnabled && runs) return { kind: 'there' };
  const found = server.look(join(server.units[manager], unit));
  if (found.kind === 'nothing' || (found.kind === 'file' && isOurs(found.text))) return { kind: 'missing' };
  return {
    kind: 'wrong',
    says: 'its unit is not one that init wrote, so it is left as it is',
    todo: `Look at it: systemctl ${manager === 'user' ? '--user ' : ''}cat ${unit}`,
  };
}

/** What a service needs and has not got. What cannot be looked at counts as there. */
export function lacking(needs: Needs, { look }: Pick<Server, 'look'>): Needs {
  return needs.filter(({ path }) => {
    const found = look(path);
    return found.kind !== 'hidden' && (found.kind !== 'file' || found.text === '');
  });
}

/** The commands that make it, each once, a line each. */
export function setUpCommands(needs: Needs): string {
  return [...new Set(needs.flatMap(({ todo }) => todo ?? []))].join('\n');
}

/** Whether init wrote this unit, or GAIA printed it; somebody may have changed it since. */
export function isOurs(text: string | undefined): boolean {
  return text !== undefined && (text.startsWith(unitHead) || text.startsWith(printedByGaia));
}

function judgeReach({ user, paths }: Extract<Step, { kind: 'reach' }>, server: Looking): Verdict {
  for (const path of paths) {
    const barrier = server.barred(path, user);
    if (barrier !== undefined)
      return {
        kind: 'wrong',
        says: `${user} cannot come to ${path}: ${barrier} keeps it out`,
        todo: `Let it pass: chmod o+x ${shellWord(barrier)}\nOr put home and program where everyone may pass, as below /opt.`,
      };
  }
  return { kind: 'there' };
}

function judgeFolder(step: FolderStep, server: Looking): Verdict {
  const { path, owner, mode: wanted, isPrivate = false } = step;
  const found = server.look(path);
  if (found.kind === 'nothing') return { kind: 'missing' };
  if (found.kind !== 'folder') return inTheWay(path, found, 'a folder');
  const word = shellWord(path);
  if (isPrivate && (found.mode & forOthers) !== 0)
    return {
      kind: 'wrong',
      says: `has mode ${octal(found.mode)}, so that others than its owner may enter it`,
      todo: `chmod ${octal(wanted)} ${word}`,
    };
  if ((found.mode & writableForAll) !== 0)
    return {
      kind: 'wrong',
      says: `has mode ${octal(found.mode)}: everyone may write there`,
      todo: `chmod o-w ${word}`,
    };
  const uid = owner === undefined ? undefined : server.uidOf(owner);
  // Tokens that root made for other programs are theirs.
  const owned = step.holdsOthers
    ? []
    : found.entries.filter(({ name }) => (!name.endsWith('.token') || name === 'owner.token') && name !== gaiasKey);
  const others = uid === undefined ? [] : owned.filter((each) => each.uid !== uid).map(({ name }) => join(path, name));
  if (uid !== undefined && (found.uid !== uid || others.length > 0))
    return {
      kind: 'wrong',
      says: `is not all of the user ${owner}, who works in it`,
      // Not all that lies below: tokens there belong to others.
      todo: `chown ${owner}: ${[...(found.uid === uid ? [] : [path]), ...others].map(shellWord).join(' ')}`,
    };
  const seen = openSecrets(step, found.entries);
  if (seen.length > 0)
    return {
      kind: 'wrong',
      says: `${seen.join(', ')} can be read by others, so what is in it is no secret`,
      todo: `chmod 600 ${seen.map((name) => shellWord(join(path, name))).join(' ')}`,
    };
  return { kind: 'there' };
}

function openSecrets({ secrets }: FolderStep, entries: readonly Entry[]): string[] {
  if (secrets === undefined) return [];
  return entries
    .filter(({ isFile, mode }) => isFile && (mode & forOthers) !== 0)
    .filter(({ name }) => (secrets === 'hidden' ? name.startsWith('.') : !name.endsWith('.pub')))
    .map(({ name }) => name);
}

function judgeFile({ path, text, mustMatch }: Extract<Step, { kind: 'file' }>, found: Found): Verdict {
  if (found.kind === 'nothing') return { kind: 'missing' };
  if (found.kind !== 'file') return inTheWay(path, found, 'a file');
  if (mustMatch !== true || found.text === text) return { kind: 'there' };
  return {
    kind: 'there',
    remark: isOurs(found.text)
      ? 'it is not as this version would write it; to have that, move it away and run init again'
      : 'it is not one that init wrote, and stays as it is; to have that, move it away and run init again',
  };
}

function judgeLink({ path, to }: Extract<Step, { kind: 'link' }>, server: Looking): Verdict {
  const found = server.look(path);
  if (found.kind === 'nothing') return { kind: 'missing' };
  const real = found.kind === 'file' ? found.real : undefined;
  const own = server.look(to);
  if (real !== undefined && own.kind === 'file' && own.real === real) return { kind: 'there' };
  if (basename(path) === 'gaia' && real === path)
    return {
      kind: 'there',
      remark: `it is a program of its own, as bootstrap.sh leaves one, and stays; to have that of this version, move it away and run init again`,
    };
  return {
    kind: 'wrong',
    says: `is something else${real === undefined || real === path ? '' : ` (${real})`}, and is left alone`,
    todo: `Look at it; if it may go: rm ${shellWord(path)}\nThen run init again. Until then ${basename(path)} is at ${to}.`,
  };
}

function inTheWay(path: string, found: Exclude<Found, { kind: 'nothing' }>, wanted: string): Verdict {
  const says = {
    file: `is a file, and no ${wanted.replace('a ', '')}`,
    folder: `is a folder, and no ${wanted.replace('a ', '')}`,
    dangling: 'is a link that leads nowhere',
    other: `is not ${wanted}`,
    hidden: 'cannot be looked at',
  }[found.kind];
  const code = found.kind === 'hidden' ? ` (${found.code})` : '';
  const todo =
    found.kind === 'hidden'
      ? 'Run init as the user who may, or choose another home with --home.'
      : `Move it away (mv ${shellWord(path)} ELSEWHERE) and run init again, or choose another home with --home.`;
  return { kind: 'wrong', says: says + code, todo, isInTheWay: true };
}

const octal = (mode: number) => (mode & 0o7777).toString(8).padStart(3, '0');
