import { createHash, hash } from 'node:crypto';
import { type BigIntStats, closeSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { linkOf, pathOf } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import { type BytePath, bytePath } from '../byte-path.ts';
import type { Progress } from '../progress.ts';
import { withLongPath } from '../source/long-path.ts';
import { damaged } from '../tar/damage.ts';
import type { Destination } from './selection.ts';

type Selected = { listed: Listed; to: Destination };

type Compare = {
  selected: readonly Selected[];
  totalBytes: number;
  progress?: Progress | undefined;
};

const pieceBytes = 1024 * 1024;
/** Members between two pauses, in which the process can hear signals and tell how far it is. */
const breathe = 200;

/**
 * Looks at what lies on the disk now, member by member: kind, size, permissions, owner, time to the nanosecond, text of
 * symlinks, which names are one file. Contents were hashed on their way to tar, which says when it could not write them;
 * where a file has holes, tar had to put its pieces in their places, so those files are read back and hashed again.
 * @throws Fault `damaged` naming the first that is not what the list says
 */
export async function compareStaged({ selected, totalBytes, progress }: Compare): Promise<void> {
  const inodes = new Map<BytePath, bigint>();
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let doneBytes = 0;
  let doneFiles = 0;
  for (const { listed, to } of selected) {
    const member = pathOf(listed);
    const stats = lookAt(to, member);
    const why = difference(listed, stats, to, inodes);
    if (why !== undefined) throw damaged(`On the disk ${why}.`, member);
    inodes.set(member, stats.ino);
    if (listed.type === 'file') {
      if (listed.sha256 !== undefined && hasHoles(stats) && digestOf(to, listed.size ?? 0, buffer) !== listed.sha256)
        throw damaged('On the disk its contents are others.', member);
      doneBytes += listed.size ?? 0;
    }
    if (++doneFiles % breathe === 0) await new Promise((resume) => setImmediate(resume));
    progress?.({ phase: 'compare', doneBytes, totalBytes, doneFiles });
  }
}

function placeOf({ stageFolder, name, database }: Destination): [root: string, path: BytePath] {
  return database === undefined ? [stageFolder, name] : [database.stage, '' as BytePath];
}

function lookAt(to: Destination, member: BytePath): BigIntStats {
  const [root, path] = placeOf(to);
  const stats = withLongPath(root, path, (at) => lstatSync(at, { bigint: true, throwIfNoEntry: false }));
  if (stats === undefined) throw damaged('It is not on the disk.', member);
  return stats;
}

function difference(
  listed: Listed,
  stats: BigIntStats,
  to: Destination,
  inodes: ReadonlyMap<BytePath, bigint>,
): string | undefined {
  const { type, mode, uid, gid, mtime, size } = listed;
  const kind = kindOf(stats);
  if (type === 'hardlink') return inodes.get(linkOf(listed)) === stats.ino ? undefined : 'it is a file of its own';
  if (kind !== type) return `it is ${kind === undefined ? 'something else' : `a ${kind}`}`;
  if (Number(stats.uid) !== uid || Number(stats.gid) !== gid)
    return `it belongs to ${stats.uid}:${stats.gid} instead of ${uid}:${gid}`;
  if (type === 'symlink') {
    const [root, path] = placeOf(to);
    const text = withLongPath(root, path, (at) => bytePath(readlinkSync(at, { encoding: 'buffer' })));
    return text === linkOf(listed) ? undefined : 'its text is another';
  }
  const permissions = (stats.mode & 0o7777n).toString(8).padStart(4, '0');
  if (permissions !== mode) return `its mode is ${permissions} instead of ${mode}`;
  if (type === 'file' && stats.size !== BigInt(size ?? 0)) return `it has ${stats.size} bytes instead of ${size}`;
  return timeText(stats.mtimeNs) === mtime ? undefined : `its time is ${timeText(stats.mtimeNs)} instead of ${mtime}`;
}

function hasHoles({ size, blocks }: BigIntStats): boolean {
  return blocks * 512n < size;
}

function kindOf(stats: BigIntStats): Listed['type'] | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'symlink' : undefined;
}

/** As the list has it: seconds, rounded down, and nanoseconds. */
function timeText(ns: bigint): string {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return `${(ns - rest) / 1_000_000_000n}.${String(rest).padStart(9, '0')}`;
}

function digestOf(to: Destination, size: number, buffer: Buffer): string {
  const [root, path] = placeOf(to);
  const fd = withLongPath(root, path, (at) => openSync(at, 'r'));
  try {
    const first = readSync(fd, buffer, 0, buffer.length, null);
    if (first === size) return hash('sha256', buffer.subarray(0, first));
    const whole = createHash('sha256').update(buffer.subarray(0, first));
    for (let length = readSync(fd, buffer, 0, buffer.length, null); length > 0; ) {
      whole.update(buffer.subarray(0, length));
      length = readSync(fd, buffer, 0, buffer.length, null);
    }
    return whole.digest('hex');
  } finally {
    closeSync(fd);
  }
}
