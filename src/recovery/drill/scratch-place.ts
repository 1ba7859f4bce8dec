import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import { type ContainerEngine, runEngine } from '../compose/engine.ts';
import type { Place } from '../place.ts';
import { identityOf, isAlive, type ProcessIdentity } from '../run/live-process.ts';

/** What a drill has made or may have, written down before it is: whoever comes after it can remove it. */
type Made = {
  folder: string;
  projects: readonly string[];
  /** Not in records of before there were two. */
  engine?: ContainerEngine;
  owner: ProcessIdentity | null;
};

const recordsIn = (place: Pick<Place, 'state'>) => join(place.state, 'drills');
const removeMs = 120_000;

/** Makes the folder of a drill, and the record of it and its compose projects. The folder's name is the drill's id. */
export function openScratch(
  place: Pick<Place, 'state'>,
  id: string,
  folder: string,
  projects: readonly string[],
  engine: ContainerEngine,
): void {
  makeFolder(recordsIn(place), 0o700);
  const made: Made = { folder, projects, engine, owner: identityOf(process.pid) ?? null };
  writeWhole(join(recordsIn(place), `${id}.json`), Buffer.from(`${JSON.stringify(made)}\n`));
  // Services run as other users, and must reach what is theirs below it.
  mkdirSync(folder, { mode: 0o711 });
}

/** Drills whose process is gone, and which nobody has cleaned up after. */
export function abandoned(place: Pick<Place, 'state'>): string[] {
  return ids(place).filter((id) => {
    const owner = recordOf(place, id)?.owner;
    return owner === undefined || owner === null || !isAlive(owner);
  });
}

function ids(place: Pick<Place, 'state'>): string[] {
  try {
    return readdirSync(recordsIn(place)).flatMap((name) =>
      name.endsWith('.json') ? name.slice(0, -'.json'.length) : [],
    );
  } catch {
    return []; // There never was one.
  }
}

function recordOf(place: Pick<Place, 'state'>, id: string): Made | undefined {
  try {
    return JSON.parse(readFileSync(join(recordsIn(place), `${id}.json`), 'utf8')) as Made;
  } catch {
    return undefined; // Gone meanwhile.
  }
}

/** Removes containers, networks, volumes and the folder of a drill. May be repeated. Answers what could not be removed. */
export async function closeScratch(place: Pick<Place, 'state'>, id: string): Promise<string | undefined> {
  const made = recordOf(place, id);
  if (made === undefined) return undefined;
  const left: string[] = [];
  const { engine = 'docker' } = made;
  for (const project of made.projects) {
    for (const [what, list, remove] of [
      ['containers', ['ps', '-aq'], ['rm', '-f', '-v']],
      ['networks', ['network', 'ls', '-q'], ['network', 'rm']],
      ['volumes', ['volume', 'ls', '-q'], ['volume', 'rm']],
    ] as const) {
      const filter = `label=com.docker.compose.project=${project}`;
      const found = await runEngine(engine, [...list, '--filter', filter], removeMs);
      const names = found.stdout.split('\n').filter((line) => line !== '');
      if (found.code !== 0 || names.length === 0) {
        if (found.code !== 0) left.push(`${what} of ${project}`);
        continue;
      }
      const removed = await runEngine(engine, [...remove, ...names], removeMs);
      if (removed.code !== 0) left.push(`${what} of ${project}: ${names.join(' ')}`);
    }
    // Which has no label to find it by.
    if (engine === 'podman') await runEngine(engine, ['pod', 'rm', '--force', '--ignore', `pod_${project}`], removeMs);
  }
  rmSync(made.folder, { recursive: true, force: true, maxRetries: 3 });
  if (left.length > 0) return `Not removed: ${left.join(', ')}`;
  rmSync(join(recordsIn(place), `${id}.json`), { force: true });
  return undefined;
}
