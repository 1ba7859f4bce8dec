import { dirname } from 'node:path';
import { Fault } from '../../../base/fault.ts';
import type { Home } from '../../../base/home.ts';
import { shellWord } from '../../../base/shell-word.ts';
import type { BusFlags, BusPlace, Door } from '../door.ts';
import { showBytes } from '../show-time.ts';
import type { Finding } from './finding.ts';
import { type Installation, isStranger } from './installation.ts';

const oldestNode = 26;
/** Below this a busy bus fills the disk within days. */
const scarceBytes = 512 * 1024 * 1024;

/** Whether this Node is one that LeverEdge runs on. */
export function checkNode({ nodeVersion, version }: Door): Finding {
  const says = `LeverEdge ${version} on Node ${nodeVersion}`;
  if (Number.parseInt(nodeVersion, 10) >= oldestNode) return { check: 'node', state: 'fine', says };
  return {
    check: 'node',
    state: 'wrong',
    says,
    todo: `Run it with Node ${oldestNode} or newer; "npx leveredge" does.`,
  };
}

/** Whether this user can keep a home there. */
export function checkHome(
  door: Door,
  home: Home,
  databaseFile: string,
  installation: Installation | undefined,
): Finding {
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
  if (!bus.writable && isStranger(door, installation))
    return {
      check: 'home',
      state: 'note',
      says: `${says} belongs to ${installation?.user}; ${door.user} can look at a part of it only`,
      todo: `sudo ${door.program} doctor --home ${shellWord(home.dir)}`,
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

/** Whether flags, environment and yaml make settings, and where these put the bus. @throws what is no Fault */
export async function checkSettings(door: Door, flags: BusFlags): Promise<{ finding: Finding; place?: BusPlace }> {
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
export function mistakesIn({ message, hint, mistakes }: Fault): Pick<Finding, 'says' | 'todo'> {
  if (mistakes.length === 0) return { says: message, ...(hint ? { todo: hint } : {}) };
  return {
    says: [message, ...(hint ? [hint] : [])].join('\n'),
    todo: 'Mend this before the next start: the bus does not start with it.',
  };
}

/** Whether there is room for what is to come. */
export function checkDisk(door: Door, home: string): Finding {
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
