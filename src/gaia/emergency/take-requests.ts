import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import { maxRequestBytes, type PhoneRequest, parseRequest, requestName } from './request.ts';

/** `refused`: why a file is none of the bot's requests. Nothing of what is in it is told. */
export type Taken = { name: string } & ({ request: PhoneRequest } | { refused: string });

/** At one time, of requests and of all else; what is left is there the next time. */
const maxTaken = 50;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * The requests that lie in the bot's folder, oldest first. The folder belongs to somebody else, so nothing in it is believed: a
 * link is not followed, a pipe not waited for, and a file of another owner, with two names, too large, or of any other form is
 * refused. Each is read once, from what was opened. What is none at first sight is counted apart: some of it cannot be removed, as a
 * folder with something in it, and must not stand before a request for ever.
 * @throws Fault `forbidden` when others than its owner can write into the folder
 */
export function takeRequests(folder: string): Taken[] {
  const { uid, mode } = folderOf(folder);
  if ((mode & 0o022) !== 0)
    throw new Fault('forbidden', `Others than its owner can write into ${folder}.`, {
      hint: `chmod 700 ${shellWord(folder)}`,
    });
  const requests: string[] = [];
  const others: string[] = [];
  const entries = opendirSync(folder);
  try {
    for (let entry = entries.readSync(); entry !== null && requests.length < maxTaken; entry = entries.readSync()) {
      // What begins with a dot is being written.
      if (entry.name.startsWith('.')) continue;
      if (entry.isFile() && requestName.test(entry.name)) requests.push(entry.name);
      else if (others.length < maxTaken) others.push(entry.name);
    }
  } finally {
    entries.closeSync();
  }
  const names = [...requests, ...others];
  return names.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).map((name) => take(folder, name, uid));
}

function folderOf(folder: string): { uid: number; mode: number } {
  const stats = lstatSync(folder);
  if (!stats.isDirectory()) throw new Fault('forbidden', `${folder} is no folder.`);
  return stats;
}

function take(folder: string, name: string, owner: number): Taken {
  if (!requestName.test(name)) return { name, refused: 'it is not called as a request is' };
  let fd: number;
  try {
    fd = openSync(join(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { name, refused: code === 'ELOOP' ? 'it is a link' : `it cannot be opened (${code})` };
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return { name, refused: 'it is no file' };
    if (stats.uid !== owner) return { name, refused: 'it is of another owner than its folder' };
    if (stats.nlink !== 1) return { name, refused: 'it has a second name' };
    if (stats.size > maxRequestBytes) return { name, refused: 'it is too large' };
    const bytes = Buffer.alloc(maxRequestBytes + 1);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    if (length > maxRequestBytes) return { name, refused: 'it is too large' };
    const request = parseRequest(bytes.toString('utf8', 0, length));
    if (request === undefined) return { name, refused: 'it is not of the form of a request' };
    if (`${request.id}.json` !== name) return { name, refused: 'it names another id than its file' };
    return { name, request };
  } finally {
    closeSync(fd);
  }
}

/** Takes a file out of the bot's folder, whatever it is; what cannot be removed stays. A link is removed, not what it names. */
export function dropRequest(folder: string, name: string): boolean {
  const path = join(folder, name);
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) rmdirSync(path);
    else unlinkSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
