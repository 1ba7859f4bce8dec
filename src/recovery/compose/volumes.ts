import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Target, Tree } from '../target.ts';
import { containersOf, engineName, requireWorked, worked } from './containers.ts';
import { type ContainerEngine, enginesHere, runEngine } from './engine.ts';

/** What a volume's folder is called within an archive. */
const treeName = (volume: string) => `volume-${volume.toLowerCase().replace(/[^a-z0-9-]+/g, '-')}`;

/** Engines give those nobody named a name of its own. */
const anonymous = /^[0-9a-f]{64}$/;

type Volume = { Name: string; Mountpoint: string; Driver: string; Options?: Record<string, string> | null };

/**
 * A target with the folders of the volumes that its configuration includes, which lie where the engine keeps them. To
 * restore, one that is not there is taken to lie where the engine would make it, and takes it up from there.
 * @throws Fault `not-found` for one that is not there, `usage` for one that is no folder of this machine, `unreachable`
 */
export async function withVolumes(target: Target, { toRestore }: { toRestore: boolean }): Promise<Target> {
  const wanted = target.volumes?.include ?? [];
  if (wanted.length === 0) return target;
  const trees: Tree[] = [];
  const engines = await enginesOf(target);
  for (const name of wanted) {
    const volume = (await inspect(name, engines)) ?? (toRestore ? await expected(name, engines) : undefined);
    if (volume === undefined)
      throw new Fault('not-found', `There is no volume ${name}, which the configuration of ${target.name} names.`, {
        hint: `See: ${engines[0]} volume ls`,
      });
    const isMounted = Object.keys(volume.Options ?? {}).some((key) => key === 'device' || key === 'type');
    if (volume.Driver !== 'local' || isMounted)
      throw new Fault(
        'usage',
        `The volume ${name} is ${isMounted ? 'mounted from elsewhere' : `kept by ${volume.Driver}`}, and not in a folder of this machine.`,
        {
          hint: 'Exclude it, and back it up where it is kept.',
        },
      );
    trees.push({ name: treeName(name), root: volume.Mountpoint, exclude: [], mounts: { include: [], exclude: [] } });
  }
  return { ...target, trees: [...target.trees, ...trees] };
}

/** A backup that leaves a volume out without anybody having said so would be a surprise. @throws Fault `usage` */
export async function requireVolumesNamed(target: Target, dataFolders: readonly string[]): Promise<void> {
  const named = new Set([...(target.volumes?.include ?? []), ...(target.volumes?.exclude ?? [])]);
  const unnamed = new Set<string>();
  for (const file of target.compose ?? [])
    for (const { volumes } of await containersOf(file))
      for (const { name, folder } of volumes)
        if (
          !named.has(name) &&
          !anonymous.test(name) &&
          !(folder !== '' && dataFolders.some((data) => data.startsWith(`${folder}/`) || data === folder))
        )
          unnamed.add(name);
  if (unnamed.size === 0) return;
  const [first] = unnamed;
  throw new Fault(
    'usage',
    `Containers of ${target.name} keep data in volumes that nobody named: ${[...unnamed].join(', ')}.`,
    {
      hint: `Say for each whether it belongs to the backup: volumes: { include: [${first}], exclude: [] }`,
    },
  );
}

/** That of the target's containers, or else all that are here. */
async function enginesOf({ compose = [] }: Target): Promise<readonly ContainerEngine[]> {
  for (const file of compose) {
    const [container] = await containersOf(file);
    if (container !== undefined) return [container.engine ?? 'docker'];
  }
  return enginesHere();
}

async function inspect(name: string, engines: readonly ContainerEngine[]): Promise<Volume | undefined> {
  for (const engine of engines) {
    const ran = await runEngine(engine, ['volume', 'inspect', name]);
    if (!worked(ran) && /no such volume/i.test(ran.stderr)) continue;
    requireWorked(ran, `${engineName(engine)} could not be asked about the volume ${name}`);
    return (JSON.parse(ran.stdout) as Volume[])[0];
  }
  return undefined;
}

async function expected(name: string, [engine = 'docker']: readonly ContainerEngine[]): Promise<Volume> {
  const place = engine === 'docker' ? '{{.DockerRootDir}}/volumes' : '{{.Store.VolumePath}}';
  const ran = await runEngine(engine, ['info', '--format', place]);
  requireWorked(ran, `${engineName(engine)} could not be asked where it keeps volumes`);
  return { Name: name, Mountpoint: join(ran.stdout.trim(), name, '_data'), Driver: 'local' };
}
