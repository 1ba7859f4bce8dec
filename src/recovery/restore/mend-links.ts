import { spawnSync } from 'node:child_process';
import { type BigIntStats, lchownSync, lstatSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { linkOf, pathOf } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import { type BytePath, bytePath, bytesOf } from '../byte-path.ts';
import { childEnv } from '../source/child-env.ts';
import { withLongPath } from '../source/long-path.ts';
import { damaged } from '../tar/damage.ts';
import { touchTime } from './keep-time.ts';
import type { Destination } from './selection.ts';

type Selected = { listed: Listed; to: Destination };

/**
 * restic before 0.16 keeps the text of a symlink as UTF-8 and writes something else where it is none; the list of files has it as
 * it was. Owner and times are those that restic has given it, and the folder around it keeps its own.
 * @throws Fault `damaged` naming one whose times cannot be set
 */
export function mendLinks(selection: readonly Selected[]): void {
  for (const { listed, to } of selection) {
    if (listed.type !== 'symlink' || listed.link_b64 === undefined) continue;
    const { stageFolder, name } = to;
    const wanted = linkOf(listed);
    withLongPath(stageFolder, name, (link) => {
      const stats = lstatSync(link, { bigint: true, throwIfNoEntry: false });
      if (stats?.isSymbolicLink() !== true) return; // The comparison says so.
      if (bytePath(readlinkSync(link, { encoding: 'buffer' })) === wanted) return;
      const folder = folderOf(link);
      const around = lstatSync(folder, { bigint: true });
      unlinkSync(link);
      symlinkSync(bytesOf(wanted), link);
      lchownSync(link, Number(stats.uid), Number(stats.gid));
      keepTimes(link, stats, pathOf(listed));
      keepTimes(folder, around, pathOf(listed));
    });
  }
}

const folderOf = (path: Buffer) => Buffer.from(dirname(path.toString('latin1')), 'latin1');

/** To the nanosecond; a name of any bytes reaches touch through xargs only. */
function keepTimes(path: Buffer, { mtimeNs }: BigIntStats, member: BytePath): void {
  // A long path leads through our own descriptors.
  const input = path.toString('latin1').replace(/^\/proc\/self\//, `/proc/${process.pid}/`);
  const touched = spawnSync('xargs', ['-0', 'touch', '-h', '-m', '-d', touchTime(mtimeNs), '--'], {
    input: Buffer.from(input, 'latin1'),
    env: childEnv,
  });
  if (touched.status !== 0) throw damaged('Its time cannot be set.', member);
}
