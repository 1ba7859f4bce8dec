import { join } from 'node:path';
import { shownPath } from '../byte-path.ts';
import { type AwayServer, serversAway } from '../postgres/away.ts';
import type { RunRequest } from '../run/run-folder.ts';
import { leftOutBy } from '../source/left-out.ts';
import { walkTree } from '../source/walk.ts';
import type { Target } from '../target.ts';
import type { OpenBackup } from './open-backup.ts';
import { placementOf, realOr } from './placement.ts';
import { scopeOf, wantedDumps } from './selection.ts';
import { nearest } from './space.ts';

/** Which servers of what a restore brings do not answer now, or shall be new. @throws Fault `usage` for what `only` says */
export async function awayOf(
  { signed: { manifest } }: OpenBackup & { kind: 'own' },
  { target, only, fresh_server: fresh = false }: Pick<RunRequest, 'target' | 'only' | 'fresh_server'>,
): Promise<AwayServer[]> {
  if ((manifest.postgres ?? []).length === 0) return [];
  const placement = placementOf(target, manifest, { id: 'look', stamp: 'look' });
  const names = wantedDumps(scopeOf(only, placement), placement).map(({ dumped }) => dumped.name);
  return serversAway(names, target, { within: dataFoldersIn(target), fresh });
}

/** Data folders of PostgreSQL within a target's own folders. */
function dataFoldersIn({ trees }: Target): string[] {
  return trees.flatMap(({ root, exclude }) => {
    const live = realOr(root);
    if (nearest(live) !== live) return [];
    const { postgres } = walkTree(live, { leftOut: leftOutBy(exclude), notEntered: new Set() });
    return postgres.map((path) => join(live, shownPath(path)));
  });
}
