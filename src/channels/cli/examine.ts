import { dirname } from 'node:path';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Home } from '../../base/home.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Health } from '../../client/client.ts';
import type { BusFlags, BusPlace, DatabaseReport, Door } from './door.ts';
import { findBus, usualUrl } from './find-bus.ts';
import { showBytes, showDuration } from './show-time.ts';

export type Finding = {
  check: 'node' | 'home' | 'settings' | 'database' | 'bus' | 'disk' | 'clock';
  /** `note` is worth knowing, but nothing is wrong. */
  state: 'fine' | 'note' | 'wrong';
  /** What was found; a list of mistakes has a line for each. */
  says: string;
  /** What to do, one step a line. */
  todo?: string;
};

const oldestNode = 26;
const healthTimeoutMs = 3_000;
/** Below this a busy bus fills the disk within days. */
const scarceBytes = 512 * 1024 * 1024;
/** No LeverEdge is older than this, so an earlier clock is wrong. */
const oldestClock = Date.parse('2025-01-01T00:00:00Z');
const maxSkewMs = 60_000;

/** Every check, in the order in which one builds on the other. Changes nothing on the machine. */
export async function examine(door: Door, flags: BusFlags): Promise<Finding[]> {
  const home = door.findHome(door.home);
  const findings = [checkNode(door), checkHome(door, home, door.databaseFile(home.dir))];
  const file = door.databaseFile(home.dir);
  const mayHoldFiles = door.folder(home.dir).isFolder;
  const settings = mayHoldFiles ? await checkSettings(door, flags) : undefined;
  if (settings) findings.push(settings.finding);
  const database = mayHoldFiles ? await door.inspectDatabase(file) : undefined;
  if (database) findings.push(checkDatabase(file, database));
  const reached = await reach(door, flags);
  findings.push(
    reached.health
      ? checkHealth(door, home.dir, database, reached)
      : await checkSilence(door, file, settings?.place, reached),
  );
  if (mayHoldFiles) findings.push(checkDisk(door, home.dir));
  findings.push(await checkClock(door, reached));
  return findings;
}

async function checkSettings(door: Door, flags: BusFlags): Promise<{ finding: Finding; place?: BusPlace }> {
  const check = 'settings';
  try {
    const place = await door.busPlace(flags);
    const from = place.configFile ? `${place.configFile}, flags and environment` : 'flags, environment and defaults';
    return { place, finding: { check, state: 'fine', says: `no mistakes in ${from}` } };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { finding: { check, state: 'wrong', ...mistakesIn(error) } };
  }
}

/** Each mistake on a line of its own: the hint of such a fault is the list of them. */
function mistakesIn({ message, hint, mistakes }: Fault): Pick<Finding, 'says' | 'todo'> {
  if (mistakes.length === 0) return { says: message, ...(hint ? { todo: hint } : {}) };
  return {
    says: [message, ...(hint ? [hint] : [])].join('\n'),
    todo: 'Mend this before the next start: the bus does not start with it.',
  };
}

function checkNode({ nodeVersion, version }: Door): Finding {
  const says = `LeverEdge ${version} on Node ${nodeVersion}`;
  if (Number.parseInt(nodeVersion, 10) >= oldestNode) return { check: 'node', state: 'fine', says };
  return {
    check: 'node',
    state: 'wrong',
    says,
    todo: `Run it with Node ${oldestNode} or newer; "npx leveredge" does.`,
  };
}

function checkHome(door: Door, home: Home, databaseFile: string): Finding {
  const folder = door.folder(home.dir);
  // A user who runs the bus and nothing else may have no right to the rest of the home.
  const bus = door.folder(dirname(databaseFile));
  const says = `${home.dir} (${home.because})`;
  if (!folder.isFolder)
    return {
      check: 'home',
      state: 'wrong',
      says: `${says} can be no home: ${folder.exists ? 'it' : folder.nearest} is a file, and no folder`,
      todo: 'Choose another home with --home or LEVEREDGE_HOME.',
    };
  if (!bus.writable)
    return {
      check: 'home',
      state: 'wrong',
      says: `${says}: ${bus.nearest} is not writable for ${door.user}`,
      todo: `Give it to this user (chown ${door.user} ${bus.nearest}), or choose another home with --home or LEVEREDGE_HOME.`,
    };
  if (!folder.exists)
    return { check: 'home', state: 'note', says: `${says} is not there yet; the first start makes it` };
  return { check: 'home', state: 'fine', says };
}

function checkDatabase(file: string, report: DatabaseReport): Finding {
  const check = 'database';
  switch (report.kind) {
    case 'absent':
      return { check, state: 'note', says: `${file} is not there yet; the first start makes it` };
    case 'unreadable':
      return {
        check,
        state: 'wrong',
        says: `${file} cannot be read: ${report.reason}`,
        todo: 'Look at its owner and mode: ls -l',
      };
    case 'damaged':
      return {
        check,
        state: 'wrong',
        says: `${file} is damaged: ${report.reason}`,
        todo: `Stop the bus, move the file together with the -wal and -shm beside it into another folder,\nand put the newest copy in its place: see "When something is broken" in README.md`,
      };
    case 'newer':
      return {
        check,
        state: 'wrong',
        says: `${file} has schema ${report.schema}, and this program knows ${report.known}`,
        todo: 'Run the newer LeverEdge that wrote it.',
      };
    case 'first-implementation':
      return {
        check,
        state: 'note',
        says: `${file} was made by the first implementation (${report.events} events); the next start copies it aside and takes it over`,
      };
    case 'sound':
      return {
        check,
        state: 'fine',
        says: `${file} is sound: ${report.events} events, ${report.openQuestions} open questions, ${showBytes(report.bytes)}`,
      };
  }
}

type Reached = { url: string; health?: Health; fault?: Fault };

/** The bus that every command would find. */
async function reach(door: Door, flags: BusFlags): Promise<Reached> {
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

function checkHealth(
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

async function checkSilence(
  door: Door,
  databaseFile: string,
  place: BusPlace | undefined,
  { url, fault }: Reached,
): Promise<Finding> {
  if (fault?.code === 'unauthorized' || fault?.code === 'forbidden') return unlet(door, url, fault);
  const start = door.folder(door.findHome(door.home).dir).isFolder
    ? `Start it: ${door.program} bus${ofHome(door)}`
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

function checkDisk(door: Door, home: string): Finding {
  const { freeBytes, nearest } = door.folder(home);
  const says = `${showBytes(freeBytes)} free at ${nearest}`;
  if (freeBytes >= scarceBytes) return { check: 'disk', state: 'fine', says };
  return {
    check: 'disk',
    state: 'wrong',
    says,
    todo: `Make room (at least ${showBytes(scarceBytes)}). A full disk loses nothing that was acknowledged, but nothing new is taken.`,
  };
}

async function checkClock(door: Door, { url, health }: Reached): Promise<Finding> {
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
