import { chmodSync, chownSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';

/** The folders that bot and runner hand each other files in. */
export type Spool = {
  folder: string;
  /** The bot's: a file for each thing that it asks. */
  requests: string;
  /** The bot's: what it remembers. */
  memory: string;
  /** The runner's: a file for each thing that it says. */
  replies: string;
};

/** The user that the bot runs as, where the runner is root. */
export const botUser = 'gaia-bot';

/** Where things lie in a spool. */
export function spoolIn(folder: string): Spool {
  const [requests, memory, replies] = ['requests', 'bot', 'replies'].map((name) => join(folder, name));
  return { folder, requests: requests as string, memory: memory as string, replies: replies as string };
}

/**
 * Makes what is missing, and gives two of the folders to the bot's user. The folder around them stays the runner's, so that the
 * bot can put nothing in the place of one. Answers what is odd about it, or undefined.
 * @throws Fault `usage` for what is no folder, the system's error
 */
export function makeSpool({ folder, requests, memory, replies }: Spool, uid: number): string | undefined {
  const owner = uid === 0 ? ownerOf(botUser) : undefined;
  makeFolder(folder, 0o755);
  // The bot passes through it, also where the runner was told to make what others cannot enter (UMask=0077).
  if (owner !== undefined) chmodSync(folder, 0o755);
  for (const [path, mode, isBots] of [
    [requests, 0o700, true],
    [memory, 0o700, true],
    [replies, 0o750, false],
  ] as const) {
    const before = lstatSync(path, { throwIfNoEntry: false });
    if (before === undefined) makeFolder(path, mode);
    else if (!before.isDirectory()) throw new Fault('usage', `${path} is no folder.`, { hint: 'Move it away.' });
    if (owner === undefined) continue;
    chownSync(path, isBots ? owner.uid : 0, owner.gid);
    chmodSync(path, mode);
  }
  if (uid !== 0 || owner !== undefined) return undefined;
  return `there is no user ${botUser}, so the bot would have to be root: useradd --system --no-create-home --shell /usr/sbin/nologin ${botUser}`;
}

function ownerOf(user: string): { uid: number; gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
