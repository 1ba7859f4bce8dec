import { join } from 'node:path';
import { Fault } from '../../../base/fault.ts';
import type { AgentName } from '../door.ts';
import { emergencyFiles, emergencyReach, emergencyServices } from './emergency-units.ts';
import { gaiaConfig } from './gaia-config.ts';
import { architecturePage, homePage } from './home-pages.ts';
import type { FolderStep, Server, Step, Systemd } from './step.ts';
import { telegramFolder, telegramUser } from './telegram-unit.ts';
import { serviceSteps, tokenSteps, type UnitsWanted, unitFiles, usersOf } from './unit-steps.ts';

export type Units = Systemd | 'none';

export type Wanted = {
  home: string;
  units: Units;
  /** Whose process the bus is: of a unit of the system, that user's; else of whoever runs init. */
  user: string;
  /** Which agents have units, where there are any. */
  agents: readonly AgentName[];
  /** The control bot and, for the system, the emergency bot have units, too. */
  bots: boolean;
  /** Start the units. */
  start: boolean;
  /** Link the programs to where everyone finds them, which takes root. */
  linked: boolean;
  /** Where the bus will answer, by the settings of the home. */
  url: string;
  version: string;
};

const buckets = ['hourly', 'daily', 'weekly', 'monthly'];
const usualTargets = ['prod', 'dev'];
const targetName = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** A unit has its own /tmp, and what lies there does not outlive a reboot. */
const passing = /^\/(tmp|var\/tmp|run|dev\/shm)(\/|$)/;
const maxPath = 3000;

/**
 * Everything that a server with this home should have, in order, whether it is there or not. Changes nothing.
 * @throws Fault `usage` where no such server can be
 */
export function planOf(
  wanted: Wanted,
  server: Pick<Server, 'look' | 'isRoot' | 'node' | 'programs' | 'units' | 'links' | 'emergencyBot'>,
): Step[] {
  const { home, units, user, start, url, agents, bots } = wanted;
  judgePlace(wanted, server);
  const owner = units === 'system' ? user : undefined;
  const targets = targetsIn(home, server);
  const run: UnitsWanted | undefined = units === 'none' ? undefined : { home, manager: units, user, agents, bots, url };
  const services = run === undefined ? [] : serviceSteps(run);
  const users = run === undefined ? [] : usersOf(run);
  const emergency = units === 'system' && bots ? server.emergencyBot(home) : undefined;
  const later = emergency ? emergencyServices(emergency, url) : [];
  const page = { home, version: wanted.version, user: owner, units: [...services, ...later], url };
  const file = (path: string, text: string): Step => ({ kind: 'file', path: join(home, path), mode: 0o644, text });
  return [
    ...[...users, ...(emergency ? [emergency.user] : [])].map((name) => ({ kind: 'user', name, home }) as const),
    ...foldersOf(home, targets, owner),
    ...(run?.bots ? [folderOfBot(home, owner)] : []),
    ...users.map(
      (each) => ({ kind: 'reach', user: each, paths: [server.node, server.programs.leveredge, home] }) as const,
    ),
    ...(emergency ? [emergencyReach(emergency, server)] : []),
    file('README.md', homePage(page)),
    file('control-plane/docs/ARCHITECTURE.md', architecturePage(page)),
    ...configs(home, server, gaiaConfig(targets, run && { ...run, services })),
    ...(run === undefined ? [] : unitFiles(run, server)),
    ...(emergency ? emergencyFiles(emergency, server) : []),
    ...(server.isRoot && wanted.linked ? links(server) : []),
    // A start of the bus brings an older database up to date, and no token is put into one before.
    ...(start ? services.slice(0, 1) : []),
    ...(run === undefined ? [] : tokenSteps(run)),
    ...(start ? services.slice(1) : []),
    ...(start ? later : []),
  ];
}

function judgePlace({ home, units, agents }: Wanted, { node, programs }: Pick<Server, 'node' | 'programs'>): void {
  const place = [home, node, programs.leveredge];
  // A line break would end a line of the unit, and the rest of the path begin another.
  const odd = place.find((path) => /\p{Cc}/u.test(path) || path.length > maxPath);
  if (odd !== undefined)
    throw new Fault('usage', `${JSON.stringify(odd)} has control characters in its name, or is too long.`, {
      hint: 'Choose another home with --home.',
    });
  // A file system of their own is where agents' units write "path:options", and no quotes are heard.
  if (units === 'system' && agents.length > 0 && home.includes(':'))
    throw new Fault('usage', `${home} has a colon in its name, which systemd takes for an end.`, {
      hint: 'Choose another home with --home; or leave the agents out: --no-agents',
    });
  const lost = units === 'system' ? place.find((path) => passing.test(path)) : undefined;
  if (lost !== undefined)
    throw new Fault('usage', `A unit of the system cannot work with ${lost}: what lies there is gone after a reboot.`, {
      hint: 'Put home and program elsewhere, as below /opt; or write no unit: --units none',
    });
  if (home === '/') throw new Fault('usage', 'The whole machine is no home.', { hint: 'Name a folder with --home.' });
}

/** Whatever has a folder in `data-plane/` already, after the usual ones. */
function targetsIn(home: string, { look }: Pick<Server, 'look'>): string[] {
  const found = look(join(home, 'data-plane'));
  const names = found.kind === 'folder' ? found.entries.filter(({ isFile }) => !isFile).map(({ name }) => name) : [];
  const further = names.filter(
    (name) => targetName.test(name) && !['full', 'control-plane', ...usualTargets].includes(name),
  );
  return [...usualTargets, ...further.sort()];
}

function foldersOf(home: string, targets: readonly string[], owner: string | undefined): FolderStep[] {
  const folder = (path: string, mode = 0o755): FolderStep => ({ kind: 'folder', path: join(home, path), mode });
  const ofBus = (path: string): FolderStep => ({
    ...folder(path, 0o700),
    ...(owner === undefined ? {} : { owner }),
    isPrivate: true,
  });
  const all = (above: string, below: readonly string[]) => below.map((name) => `${above}/${name}`);
  const backedUp = ['control-plane', ...targets];
  return [
    { kind: 'folder', path: home, mode: 0o755 },
    { ...folder('gaia', 0o700), secrets: 'hidden' },
    folder('config'),
    ...['control-plane', ...all('control-plane', ['n8n', 'agents', 'workflows', 'dashboards', 'docs'])].map((path) =>
      folder(path),
    ),
    ofBus('control-plane/event-bus'),
    ...['data-plane', ...all('data-plane', targets)].map((path) => folder(path)),
    ...['shared', ...all('shared', ['scripts', 'templates'])].map((path) => folder(path)),
    { ...ofBus('shared/credentials'), secrets: 'all' },
    // Whose files lie below differs, so everyone may pass; nobody else may look.
    folder('shared/backups', 0o711),
    // CHRONOS puts copies there too, and whoever asks for one.
    { ...ofBus('shared/backups/event-bus'), holdsOthers: true },
    folder('shared/backups/.gaia', 0o700),
    folder('shared/backups/.gaia/outbox', 0o700),
    ...backedUp.flatMap((name) =>
      [name, ...all(name, buckets)].map((path): FolderStep => folder(`shared/backups/${path}`, 0o700)),
    ),
    ...['monitoring', ...all('monitoring', ['prometheus', 'grafana'])].map((path) => folder(path)),
  ];
}

/** What the control bot has still to say. */
function folderOfBot(home: string, owner: string | undefined): FolderStep {
  const path = telegramFolder(home);
  const user = owner === undefined ? {} : { owner: telegramUser(owner) };
  return { kind: 'folder', path, mode: 0o700, isPrivate: true, ...user };
}

/** GAIA reads config.json first, so a home that has one is configured. */
function configs(home: string, { look }: Pick<Server, 'look'>, text: string): Step[] {
  const json = join(home, 'gaia', 'config.json');
  const path = look(json).kind === 'file' ? json : join(home, 'gaia', 'config.yaml');
  return [
    { kind: 'file', path, mode: 0o644, text },
    { kind: 'file', path: join(home, 'config', 'leveredge.yaml'), mode: 0o644, text: settings },
  ];
}

const settings = `# Settings of the bus; all of them: docs/settings.md of LeverEdge. Without one the default counts.
# After a change: leveredge doctor, and start the bus again.
#
# bus:
#   port: 8099
#   host: 127.0.0.1
#   auth: loopback
`;

function links({ links: folder, programs }: Pick<Server, 'links' | 'programs'>): Step[] {
  return Object.entries(programs).map(([name, to]) => ({ kind: 'link', path: join(folder, name), to }));
}
