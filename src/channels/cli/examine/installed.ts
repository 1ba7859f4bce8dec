import { basename, join } from 'node:path';
import { Fault } from '../../../base/fault.ts';
import { shellWord } from '../../../base/shell-word.ts';
import type { Door } from '../door.ts';
import { agentUnitName } from '../init/agent-unit.ts';
import { busUnitName } from '../init/bus-unit.ts';
import { describeStep } from '../init/describe-step.ts';
import { isOurs, judge } from '../init/judge.ts';
import { planOf } from '../init/plan.ts';
import type { Server, Step } from '../init/step.ts';
import type { Finding } from './finding.ts';
import { mistakesIn } from './home.ts';
import { agentOfToken, type Installation, initCommand, systemctl } from './installation.ts';
import { checkService } from './services.ts';

/** Each check of what init makes, and what is said where all of it is as it should be. */
const checks = {
  users: (n: number) => `${n} users of the system, who can come to Node, program and home`,
  folders: (n: number) => `${n} folders, each with the rights it should have, and no secret that others can read`,
  files: (n: number) => `${n} pages and configurations`,
  tokens: (n: number) => `${n} tokens of agents`,
  links: (n: number) => `${n} programs that everyone finds`,
  units: (n: number) => `${n} units, enabled and running`,
} as const;

type Check = keyof typeof checks;

/** Everything that init makes, held against what is there. Changes nothing. */
export function checkInstalled(door: Door, installation: Installation, server: Server): Finding[] {
  const { home, units, user, agents, bots, linked } = installation;
  const url = door.url;
  let plan: Step[];
  try {
    const { version } = door;
    const wanted = { home, units, user: user ?? door.user, agents, bots, linked, url, version, start: true };
    plan = planOf(wanted, { ...server, isRoot: true }).filter((step) => step.kind !== 'service' || !step.needs);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ check: 'folders', state: 'wrong', ...mistakesIn(error) }];
  }
  const looks = plan.map((step) => ({ step, ...look(step, door, installation, server) }));
  const hidden = looks.filter(({ isHidden }) => isHidden).length;
  return [
    ...Object.entries(checks).flatMap(([name, fine]) => {
      const own = looks.filter(({ step }) => checkOf(step) === name);
      const found = own.flatMap(({ finding }) => finding ?? []);
      if (own.length === 0 || found.length > 0 || own.some(({ isHidden }) => isHidden)) return found;
      return [{ check: name as Check, state: 'fine' as const, says: fine(countOf(name as Check, own)) }];
    }),
    ...(hidden === 0 ? [] : [unseen(door, installation, hidden)]),
    ...(units !== 'none' && agents.length === 0 ? [withoutAgents(door, installation)] : []),
  ];
}

const countOf = (name: Check, own: readonly { step: Step }[]) =>
  own.filter(({ step: { kind } }) =>
    name === 'users' ? kind === 'user' : name === 'units' ? kind === 'service' : true,
  ).length;

function checkOf(step: Step): Check {
  switch (step.kind) {
    case 'user':
    case 'reach':
      return 'users';
    case 'folder':
      return 'folders';
    case 'file':
      return step.mustMatch ? 'units' : 'files';
    case 'token':
      return 'tokens';
    case 'link':
      return 'links';
    case 'service':
      return 'units';
  }
}

type Look = { finding?: Finding; isHidden?: true };

function look(step: Step, door: Door, installation: Installation, server: Server): Look {
  const check = checkOf(step);
  if (step.kind === 'service') {
    const finding = checkService(step, door, installation, server);
    return finding === undefined ? {} : { finding };
  }
  if ('path' in step && server.look(step.path).kind === 'hidden') return { isHidden: true };
  // Only root can follow others' ways.
  if (step.kind === 'reach' && !server.isRoot) return {};
  const verdict = judge(step, server);
  const what = describeStep(step);
  if (verdict.kind === 'wrong') {
    const { says, todo, isInTheWay } = verdict;
    const mend = mendBy(step, todo, isInTheWay === true, initCommand(door, installation));
    return { finding: { check, state: 'wrong', says: `${what}: ${says}`, todo: mend } };
  }
  if (verdict.kind === 'missing')
    return {
      finding: { check, state: 'wrong', says: `${what}: is missing`, todo: makeIt(step, door, installation, server) },
    };
  if (verdict.kind !== 'there' || verdict.remark === undefined || step.kind !== 'file') return {};
  return { finding: otherUnit(step, door, installation, server) };
}

/** The next step of init as commands, where it is of words. */
function mendBy(step: Step, todo: string, isInTheWay: boolean, init: string): string {
  if (isInTheWay && 'path' in step) return `mv ${shellWord(step.path)} ${shellWord(`${step.path}.old`)}\n${init}`;
  const [first = ''] = todo.split('\n');
  return step.kind === 'link' ? `${first}\n${init}` : step.kind === 'reach' ? first : todo;
}

function makeIt(step: Step, door: Door, installation: Installation, server: Server): string {
  if (step.kind === 'file' && step.mustMatch)
    return [initCommand(door, installation, '--start'), ...readAgain(step.path, door, installation)].join('\n');
  const make = initCommand(door, installation);
  const agent = step.kind === 'token' ? agentOfToken(step.path) : undefined;
  if (agent === undefined || !server.hasSystemd) return make;
  return `${make}\n${systemctl(door, installation)} restart ${agentUnitName(agent)}`;
}

/** What has systemd work by the file that lies there now. */
function readAgain(path: string, door: Door, installation: Installation): string[] {
  const call = systemctl(door, installation);
  // A template has no process of its own: the next one is made from it.
  return [`${call} daemon-reload`, ...(path.includes('@') ? [] : [`${call} restart ${basename(path)}`])];
}

function otherUnit(
  { path }: Extract<Step, { kind: 'file' }>,
  door: Door,
  installation: Installation,
  server: Server,
): Finding {
  const found = server.look(path);
  if (found.kind === 'file' && !isOurs(found.text))
    return { check: 'units', state: 'note', says: `${path} is not one that init wrote, so it is not judged` };
  const sudo = installation.units === 'system' && door.user !== 'root' ? 'sudo ' : '';
  return {
    check: 'units',
    state: 'note',
    says: `${path} is not as this version would write it; to have that:`,
    todo: [
      `${sudo}mv ${shellWord(path)} ${shellWord(`${path}.old`)}`,
      initCommand(door, installation, '--start'),
      ...readAgain(path, door, installation),
    ].join('\n'),
  };
}

function unseen(door: Door, { home, units }: Installation, count: number): Finding {
  return {
    check: 'folders',
    state: 'note',
    says: `${count} of what should be there cannot be looked at by ${door.user}`,
    ...(units === 'system' ? { todo: `sudo ${door.program} doctor --home ${shellWord(home)}` } : {}),
  };
}

function withoutAgents(door: Door, installation: Installation): Finding {
  return {
    check: 'units',
    state: 'note',
    says: `there is ${busUnitName}, and no unit of an agent; to have these:`,
    todo: initCommand(door, installation, '--start').replace(' --no-agents', ''),
  };
}

/** Whether GAIA's configuration can be read, where there is one. */
export async function checkGaia(door: Door, home: string, server: Server): Promise<Finding[]> {
  const check = 'gaia';
  const file = ['config.json', 'config.yaml']
    .map((name) => join(home, 'gaia', name))
    .find((path) => server.look(path).kind === 'file');
  if (file === undefined) return [];
  try {
    const targets = await door.recoveryTargets(home);
    return [{ check, state: 'fine', says: `${file}: ${targets.join(', ')}` }];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { says, todo } = mistakesIn(error);
    const mend = error.mistakes.length > 0 ? `Mend it, and look again: ${door.program} doctor` : todo;
    return [{ check, state: 'wrong', says, ...(mend === undefined ? {} : { todo: mend }) }];
  }
}
