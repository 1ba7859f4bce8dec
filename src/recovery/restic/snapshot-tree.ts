import { lineSplitter } from './lines.ts';
import type { ResticRepository } from './repository.ts';
import { resticJson, runRestic } from './run-restic.ts';

/** What restic has written down of one file, folder or symlink. Times in nanoseconds since the epoch. */
export type SnapshotNode = {
  kind: 'file' | 'directory' | 'symlink' | 'other';
  /** As text: each byte of a name that is no UTF-8 stands as U+FFFD. */
  path: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtimeNs: bigint;
  ctimeNs: bigint;
};

export type SnapshotTree = { id: string; nodes: Map<string, SnapshotNode[]> };

/** Reads what a snapshot holds: all trees of it, and none of the contents. @throws Fault */
export async function readSnapshotTree(at: ResticRepository, id: string): Promise<SnapshotTree> {
  const nodes: SnapshotTree['nodes'] = new Map();
  let whole = '';
  const lines = lineSplitter((line) => {
    const value = resticJson(at, line) as Record<string, unknown>;
    if (value.struct_type === 'snapshot') whole = String(value.id);
    if (value.struct_type !== 'node') return;
    const node = nodeOf(value);
    const same = nodes.get(node.path);
    if (same === undefined) nodes.set(node.path, [node]);
    else same.push(node);
  });
  await runRestic(at, ['ls', '--json', id], { out: (piece) => lines.push(piece), reads: true });
  lines.end();
  return { id: whole, nodes };
}

const kinds: Readonly<Record<string, SnapshotNode['kind']>> = { file: 'file', dir: 'directory', symlink: 'symlink' };

function nodeOf(value: Record<string, unknown>): SnapshotNode {
  return {
    kind: kinds[String(value.type)] ?? 'other',
    path: String(value.path),
    mode: unixMode(Number(value.mode)),
    uid: Number(value.uid),
    gid: Number(value.gid),
    size: Number(value.size ?? 0),
    mtimeNs: nanosecondsOf(String(value.mtime)),
    ctimeNs: nanosecondsOf(String(value.ctime)),
  };
}

/** Go keeps the three upper bits elsewhere than Unix: https://pkg.go.dev/io/fs#FileMode */
function unixMode(mode: number): number {
  const bits = [
    [1 << 23, 0o4000],
    [1 << 22, 0o2000],
    [1 << 20, 0o1000],
  ] as const;
  return bits.reduce((sum, [go, unix]) => (mode & go ? sum | unix : sum), mode & 0o777);
}

/** `2026-11-28T23:58:53.44Z`, or with an offset. */
function nanosecondsOf(time: string): bigint {
  const [, date = '', fraction = '', zone = 'Z'] = /^([^.Z+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(time) ?? [];
  return BigInt(Date.parse(`${date}${zone}`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
