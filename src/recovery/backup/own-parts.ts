import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Manifest, ManifestDatabase } from '../archive/manifest.ts';
import type { MachineFacts } from '../machine/facts.ts';
import type { Progress } from '../progress.ts';
import { copyAsFile, copySqlite, type SqliteCopy } from '../source/sqlite-copy.ts';
import type { Target } from '../target.ts';
import { restoreText } from './by-hand.ts';
import type { Survey } from './survey.ts';

/** A database in the folder of copies; its digest comes with the writing. */
export type CopiedDatabase = Omit<ManifestDatabase, 'sha256'>;

type CopyWork = {
  surveyed: Survey;
  /** A folder of our own. */
  work: string;
  progress?: Progress | undefined;
};

/** Copies all SQLite databases of a target into a new folder `copies` within `work`. @throws Fault */
export async function copyDatabases(
  { surveyed, work, progress }: CopyWork,
  degraded: string[],
): Promise<{ databases: CopiedDatabase[]; folder: string }> {
  const folder = join(work, 'copies');
  // A second attempt copies them anew: files and databases of one backup shall be of one time.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'sqlite'), { recursive: true, mode: 0o700 });
  const databases: CopiedDatabase[] = [];
  let done = 0;
  for (const { name, file, tree, path, discovered } of surveyed.databases) {
    const member = `sqlite/${name}.db`;
    const { bytes, damage } = await copyOne(file, join(folder, member), discovered);
    if (damage !== undefined) degraded.push(`the database ${file} is damaged: ${damage}`);
    databases.push({ name, engine: 'sqlite', member, tree, path, bytes, discovered });
    done += bytes;
    progress?.({ phase: 'copy databases', doneBytes: done, totalBytes: undefined, doneFiles: databases.length });
  }
  return { databases, folder };
}

/** A file that looks like a database and that nobody named is no reason to have no backup at all. */
async function copyOne(file: string, to: string, discovered: boolean): Promise<SqliteCopy> {
  try {
    return await copySqlite(file, to);
  } catch (error) {
    if (!discovered || !(error instanceof Fault) || error.code === 'storage-full') throw error;
    return { ...(await copyAsFile(file, to)), damage: `${error.message} It was copied as a file.` };
  }
}

type TextWork = Pick<Manifest, 'reason' | 'set' | 'tool' | 'host'> & {
  target: Target;
  name: string;
  startedMs: number;
  machine: MachineFacts;
  /** Where its parts lie in a repository. */
  snapshot?: Parameters<typeof restoreText>[0]['snapshot'];
};

/** What every backup has beside the target's own: what it is, how it is restored by hand, where all of it belongs. */
export function ownTexts(work: TextWork, databases: readonly CopiedDatabase[]): [path: string, text: string][] {
  const { target, name, startedMs, tool, reason, set, host } = work;
  const created = rfc3339(startedMs);
  const json = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;
  const { trees, postgres = [], compose = [], health } = target;
  const listed = databases.map((each) => ({ ...each, sha256: '' }));
  return [
    [
      'HEADER.json',
      json({ format: 'leveredge-archive/1', name, target: target.name, created_at: created, tool, reason, set }),
    ],
    [
      'RESTORE.txt',
      restoreText({
        ...{ archive: name, target: target.name, created, trees, databases: listed },
        ...{ postgres: target.postgres, snapshot: work.snapshot },
      }),
    ],
    ['recipe/target.json', json({ name: target.name, trees, databases, postgres, compose, health, host })],
    ['recipe/machine.json', json(work.machine)],
  ];
}
