import { dirname, join } from 'node:path';
import { shellWord } from '../../../base/shell-word.ts';
import type { Door } from '../door.ts';
import { credentialsIn } from '../find-token.ts';
import { busUnitName } from '../init/bus-unit.ts';
import { emergencyServices } from '../init/emergency-units.ts';
import { lacking, setUpCommands } from '../init/judge.ts';
import type { EmergencyBot, Server, Step } from '../init/step.ts';
import { telegramUnitName } from '../init/telegram-unit.ts';
import { serviceSteps } from '../init/unit-steps.ts';
import type { Finding } from './finding.ts';
import { type Installation, initCommand, telegramSetup } from './installation.ts';
import { checkService } from './services.ts';

type Service = Extract<Step, { kind: 'service' }>;

const check = 'bots';
const forOthers = 0o077;

/** Whether the bots of an installation are set up and run, and keep their secrets. That one is not set up is no fault. */
export function checkBots(door: Door, installation: Installation, server: Server): Finding[] {
  const { home, units, user, agents, bots } = installation;
  if (units === 'none') return [];
  if (!bots)
    return [
      {
        ...{ check, state: 'note', says: 'there are no units of the Telegram bots; to have these:' },
        todo: initCommand(door, installation).replace(' --no-bots', ''),
      },
    ];
  const wanted = { home, manager: units, user: user ?? door.user, agents, bots, url: door.url };
  const control = serviceSteps(wanted).filter(({ needs }) => needs !== undefined);
  const emergency = units === 'system' ? server.emergencyBot(home) : undefined;
  const all = [
    { name: 'the control bot', services: control, setUp: telegramSetup(door, installation) },
    ...(emergency ? [{ name: 'the emergency bot', services: emergencyServices(emergency, door.url) }] : []),
  ];
  const secrets = emergency === undefined ? [] : openSecrets(emergency, home, server);
  const findings = all.flatMap((bot) => judged(bot, door, installation, server));
  const needs = control.flatMap((service) => service.needs ?? []);
  const told = [
    ...secrets,
    ...findings.flatMap(({ finding }) => finding ?? []),
    ...(lacking(needs, server).length === 0 ? unnamed(home, server) : []),
  ];
  const running = findings.filter(({ runs }) => runs).map(({ name }) => name);
  if (running.length === 0) return told;
  const says = `${running.join(' and ')} ${running.length === 1 ? 'runs' : 'run'}`;
  return [{ check, state: 'fine', says }, ...told];
}

type Bot = { name: string; services: readonly Service[]; setUp?: string };
type Judged = { name: string; runs: boolean; finding?: Finding };

function judged({ name, services, setUp }: Bot, door: Door, installation: Installation, server: Server): Judged[] {
  const needs = services.flatMap((service) => service.needs ?? []);
  // Whoever may not look there learns that from what is said of the folders.
  if (!server.hasSystemd || needs.some(({ path }) => server.look(path).kind === 'hidden')) return [];
  const lacks = lacking(needs, server);
  if (lacks.length > 0) {
    const says = `${name} is not set up; to have it:`;
    return [{ name, runs: false, finding: { check, state: 'note', says, todo: setUp ?? setUpCommands(lacks) } }];
  }
  const found = services.flatMap((service) => checkService(service, door, installation, server) ?? []);
  const runs = services.every(({ unit, manager }) => server.unitState(unit, manager).runs);
  // A unit that somebody else wrote, or none, is told of its file.
  if (found.length === 0) return [{ name, runs }];
  return found.map((finding) => ({ name, runs: false, finding: { ...finding, check } }));
}

/** A restore of control-plane must stop what writes there, and a configuration that an older init wrote does not name the bot. */
function unnamed(home: string, { look }: Server): Finding[] {
  const file = join(home, 'gaia', 'config.yaml');
  const found = look(file);
  const text = found.kind === 'file' ? (found.text ?? '') : '';
  if (!text.includes(busUnitName) || text.includes(telegramUnitName)) return [];
  const says = `${file} does not name ${telegramUnitName}, so a restore of control-plane does not stop it`;
  return [{ check, state: 'note', says, todo: `Add it to units of control-plane, after ${busUnitName}.` }];
}

/** Secrets of the emergency bot that others can read. Those where init looks itself are told there, but for their owner. */
function openSecrets(bot: EmergencyBot, home: string, server: Server): Finding[] {
  const { user, tokenFile, usersFile, secretFile } = bot;
  const judgedFolders = [join(home, 'gaia'), credentialsIn(home)];
  const wrong = (says: string, todo: string): Finding => ({ check, state: 'wrong', says, todo });
  return [tokenFile, usersFile, secretFile].flatMap((path) => {
    const found = server.look(path);
    if (found.kind !== 'file') return [];
    const word = shellWord(path);
    const open = (found.mode & forOthers) !== 0 && !judgedFolders.includes(dirname(path));
    return [
      ...(open ? [wrong(`${path} can be read by others, so what is in it is no secret`, `chmod 600 ${word}`)] : []),
      ...(path !== usersFile && found.uid === server.uidOf(user)
        ? [wrong(`${path} belongs to ${user}, who listens to the network and must not read it`, `chown root: ${word}`)]
        : []),
    ];
  });
}
