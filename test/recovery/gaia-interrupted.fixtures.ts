import { join } from 'node:path';
import { openJournal } from '../../src/recovery/run/journal.ts';
import { journalOf, makeRun, newRunId } from '../../src/recovery/run/run-folder.ts';
import type { Target } from '../../src/recovery/target.ts';
import type { Stand } from './gaia.fixtures.ts';

/** What a restore of dev leaves when it is killed before it staged anything. */
export function leaveInterrupted(stand: Stand): { id: string; journal: string } {
  const atMs = Date.now();
  const id = newRunId(atMs);
  const target: Target = {
    name: 'dev',
    trees: [{ name: 'dev', root: stand.root, exclude: [], mounts: { include: [], exclude: [] } }],
    databases: [],
    health: 'unproven',
  };
  const place = {
    home: stand.home,
    configFile: stand.config,
    backups: stand.backups,
    state: join(stand.backups, '.gaia'),
    signingKey: join(stand.home, 'gaia/.signing_key'),
    publicKey: join(stand.home, 'gaia/signing.pub'),
  };
  const backup = { file: join(stand.backups, 'none'), name: 'none', created_at: null, manifest_sha256: null };
  const folder = makeRun(place, {
    id,
    kind: 'restore',
    target,
    place,
    backup,
    only: null,
    undoes: null,
    plan_hash: '',
    ignore_open: false,
    created_at: new Date(atMs).toISOString(),
    tool: 'LeverEdge',
  });
  const journal = openJournal(journalOf(folder), () => atMs);
  journal.append('lock', 'done');
  journal.append('stage', 'begin');
  journal.close();
  return { id, journal: journalOf(folder) };
}
