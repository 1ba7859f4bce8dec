import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';
import type { Place } from '../place.ts';
import { identityOf } from '../run/live-process.ts';

/**
 * Which bus hears of backups and restores. `home`: the one that runs on this home, if one does. `none`: nothing is told, and
 * nothing is kept.
 */
export type BusSetting = 'home' | 'none' | { url: string; tokenFile: string | null };

/** Where to send, and with what. */
export type FoundBus = { url: string; token: string | undefined };

/**
 * The bus that is meant; undefined when none runs on this home: an address that nobody named may be anybody's bus.
 * @throws Fault when the token cannot be read
 */
export function findBus({ home }: Pick<Place, 'home'>, setting: BusSetting): FoundBus | undefined {
  if (setting === 'none') return undefined;
  if (setting === 'home') {
    const url = runningOn(home);
    return url === undefined ? undefined : { url, token: ownersToken(home) };
  }
  const { url, tokenFile } = setting;
  if (tokenFile === null) return { url, token: undefined };
  const token = readPrivately(tokenFile)?.trim() ?? '';
  if (visible.test(token)) return { url, token };
  throw new Fault('usage', `There is no token in ${tokenFile}, which bus.token_file names.`, {
    hint: 'Make one: leveredge token create GAIA --kind agent --scope publish --file',
  });
}

const visible = /^[\x21-\x7e]+$/;
/** Whatever else lies in its place is sent to nobody. */
const tokenForm = /^lev_[A-Za-z0-9]{40}$/;

/** As the bus wrote it down itself, and while its process lives. */
function runningOn(home: string): string | undefined {
  try {
    const file = join(home, 'control-plane', 'event-bus', 'bus.json');
    const { pid, url } = JSON.parse(readFileSync(file, 'utf8')) as { pid: unknown; url: unknown };
    const lives = Number.isInteger(pid) && identityOf(pid as number) !== undefined;
    return lives && typeof url === 'string' && URL.canParse(url) ? url : undefined;
  } catch {
    return undefined; // Not there, or not ours to read: no bus is known.
  }
}

/** Without it a bus on this machine takes an event all the same, unless it asks everyone for a token. */
function ownersToken(home: string): string | undefined {
  try {
    const token = readPrivately(join(home, 'shared', 'credentials', 'owner.token'))?.trim() ?? '';
    return tokenForm.test(token) ? token : undefined;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
