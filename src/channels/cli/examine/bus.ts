import { Fault, reasonOf } from '../../../base/fault.ts';
import { shellWord } from '../../../base/shell-word.ts';
import type { Health } from '../../../client/client.ts';
import type { BusFlags, BusPlace, DatabaseReport, Door } from '../door.ts';
import { findBus, usualUrl } from '../find-bus.ts';
import { busUnitName } from '../init/bus-unit.ts';
import { showDuration } from '../show-time.ts';
import type { Finding } from './finding.ts';
import { type Installation, systemctl } from './installation.ts';

const healthTimeoutMs = 3_000;
/** No LeverEdge is older than this, so an earlier clock is wrong. */
const oldestClock = Date.parse('2025-01-01T00:00:00Z');
const maxSkewMs = 60_000;

/** The bus that was found: its health, or why it has none. */
export type Reached = { url: string; health?: Health; fault?: Fault };

/** The bus that every command would find. */
export async function reach(door: Door, flags: BusFlags): Promise<Reached> {
  const url = await whereItIs(door, flags);
  try {
    return { url, health: await door.connect(url).health(healthTimeoutMs) };
  } catch (error) {
    // A URL that is none, or holds a password, is wrong usage, and no finding that would show it.
    if (!(error instanceof Fault) || (error.code === 'usage' && door.urlIsGiven)) throw error;
    return { url, fault: error };
  }
}

async function whereItIs(door: Door, flags: BusFlags): Promise<string> {
  try {
    return (await findBus(door, { ...flags, url: door.urlIsGiven ? door.url : undefined })).url;
  } catch (error) {
    // Told among the settings already.
    if (!(error instanceof Fault)) throw error;
    return usualUrl;
  }
}

/** What a bus that answers says of itself, held against what lies on disk. */
export function checkHealth(
  door: Door,
  home: string,
  database: DatabaseReport | undefined,
  { url, health }: Reached,
): Finding {
  const { version, uptime_seconds: up, open_questions, epoch } = health as Health;
  const more = up === undefined ? '' : `, up for ${showDuration(up * 1000)}, ${open_questions} open questions`;
  const says = `version ${version} answers at ${url}${more}`;
  // Where tokens are required the bus tells its epoch only to who has one.
  const other =
    database?.kind === 'sound' ? epoch !== undefined && database.epoch !== epoch : database?.kind === 'absent';
  if (other)
    return {
      check: 'bus',
      state: 'wrong',
      says: `the bus at ${url} serves another home than ${home}`,
      todo: 'Name the home with --home or LEVEREDGE_HOME, or the bus with --url or LEVEREDGE_URL.',
    };
  if (version !== door.version)
    return {
      check: 'bus',
      state: 'note',
      says,
      todo: `This command is ${door.version}; restart the bus to run the same.`,
    };
  return { check: 'bus', state: 'fine', says };
}

/** Why no bus answers, as far as it can be told from here. */
export async function checkSilence(
  door: Door,
  databaseFile: string,
  place: BusPlace | undefined,
  { url, fault }: Reached,
  installation: Installation | undefined,
): Promise<Finding> {
  if (fault?.code === 'unauthorized' || fault?.code === 'forbidden') return unlet(door, url, fault);
  const start = door.folder(door.findHome(door.home).dir).isFolder
    ? `Start it: ${startOf(door, installation)}`
    : 'Start it on another home.';
  const recorded = door.recordedBus(databaseFile);
  if (recorded?.alive)
    return {
      check: 'bus',
      state: 'wrong',
      says: `process ${recorded.pid} holds this home and should answer at ${recorded.url}, but: ${reasonOf(fault)}`,
      todo: `Look at what it says; to stop it: kill ${recorded.pid}`,
    };
  if (!place) return { check: 'bus', state: 'wrong', says: reasonOf(fault), todo: start };
  if (place.port !== 0 && (await door.isListening(place.host, place.port)))
    return {
      check: 'bus',
      state: 'wrong',
      says: `another program listens on port ${place.port}: ${reasonOf(fault)}`,
      todo: `Find it: ss -ltnp 'sport = :${place.port}' (macOS: lsof -nP -iTCP:${place.port} -sTCP:LISTEN)\nStop it, or take another port: ${door.program} bus${ofHome(door)} --port ${place.port + 1}`,
    };
  return { check: 'bus', state: 'wrong', says: `it is not running; nothing listens at ${url}`, todo: start };
}

function startOf(door: Door, installation: Installation | undefined): string {
  if (installation === undefined || installation.units === 'none') return `${door.program} bus${ofHome(door)}`;
  return `${systemctl(door, installation)} start ${busUnitName}`;
}

/** It runs, but the token is not right or not fit to be sent. */
function unlet({ program }: Door, url: string, { code, message, hint }: Fault): Finding {
  const another = `Make another: ${program} token create NAME --kind person --scope SCOPE --file`;
  return {
    check: 'bus',
    state: 'wrong',
    says: code === 'forbidden' ? message : `the bus at ${url} refuses the token: ${message}`,
    todo: code === 'forbidden' && hint !== undefined ? hint : another,
  };
}

/** A home that was named must be named again. */
function ofHome({ home }: Door): string {
  return home === undefined ? '' : ` --home ${shellWord(home)}`;
}

/** Whether the clock of this machine can be right. */
export async function checkClock(door: Door, { url, health }: Reached): Promise<Finding> {
  const now = door.clock();
  const says = new Date(now).toISOString();
  const todo = 'Set the clock (timedatectl set-ntp true): deadlines of questions go by it.';
  if (now < oldestClock) return { check: 'clock', state: 'wrong', says: `${says} cannot be`, todo };
  const page = health
    ? await door
        .connect(url)
        .events({ limit: 1 })
        .catch(() => undefined /* then the clock is judged by itself */)
    : undefined;
  const newest = page?.events[0];
  if (newest && Date.parse(newest.timestamp) > now + maxSkewMs)
    return { check: 'clock', state: 'wrong', says: `${says}, but the newest event is of ${newest.timestamp}`, todo };
  return { check: 'clock', state: 'fine', says };
}
