import { Fault } from '../../base/fault.ts';
import { oldRoot, readOld } from '../archive/old-archive.ts';
import type { BytePath } from '../byte-path.ts';
import type { Progress } from '../progress.ts';
import type { TarEntry } from '../tar/entry.ts';
import { storedBytes } from '../tar/sparse-map.ts';
import { endOfArchive, headerOf, paddingOf } from '../tar/writer.ts';
import type { Placement } from './placement.ts';
import { extractInto } from './run-tar.ts';

/**
 * Stages an archive of an older tool: read through once to see that it is whole and where its root is, then written anew
 * for tar like one of our own.
 * @throws Fault `damaged`; `usage` for a target of several trees, which no older tool had
 */
export async function stageOld(file: string, { trees }: Placement, progress: Progress): Promise<void> {
  const [tree, second] = trees;
  if (tree === undefined || second !== undefined)
    throw new Fault('usage', 'An archive of an older tool can be restored to a target of one folder only.', {
      hint: 'Unpack it by hand: gaia runbook',
    });
  const root = await oldRoot(file, tree.live, tree.tree.name);
  const name = tree.tree.name;
  const inTree = (path: BytePath): BytePath | undefined => {
    if (path === '.' || path === root || root.startsWith(`${path}/`))
      return path === root || root === '' ? (name as BytePath) : undefined;
    return (root === '' ? `${name}/${path}` : `${name}/${path.slice(root.length + 1)}`) as BytePath;
  };
  const output = extractInto(tree.stageFolder);
  let entry: TarEntry | undefined;
  let isTaken = false;
  let hasTop = false;
  let bytes = 0;
  let files = 0;
  try {
    await readOld(file, {
      entry(found) {
        entry = found;
        const path = inTree(found.path);
        isTaken = path !== undefined;
        if (path === undefined) return;
        hasTop ||= path === name;
        const link = found.kind === 'hardlink' ? (inTree(found.link) ?? found.link) : found.link;
        output.write(headerOf({ ...found, path, link }));
      },
      data(chunk) {
        bytes += chunk.length;
        if (isTaken) output.write(chunk);
      },
      end() {
        const { kind, size, segments } = entry as TarEntry;
        files++;
        if (isTaken && kind === 'file') output.write(paddingOf(storedBytes(size, segments)));
        progress({ phase: 'stage', doneBytes: bytes, totalBytes: undefined, doneFiles: files });
      },
      ready: () => output.ready(),
    });
    output.write(endOfArchive);
    await output.finish();
  } catch (error) {
    await output.stop();
    throw error;
  }
  if (!hasTop) await likeLive(tree.live, tree.stage);
}

/** An archive without its top folder says nothing of its owner and mode; those of the live one are as good as any. */
async function likeLive(live: string, stage: string): Promise<void> {
  const { chmodSync, chownSync, statSync } = await import('node:fs');
  const found = statSync(live, { throwIfNoEntry: false });
  if (found === undefined) return;
  chownSync(stage, found.uid, found.gid);
  chmodSync(stage, found.mode & 0o7777);
}
