import { dirname, isAbsolute, join } from 'node:path';
import type { Place } from '../place.ts';
import type { ResticRepository } from '../restic/repository.ts';
import type { Target } from '../target.ts';
import type { Located } from './located.ts';
import type { From } from './read-databases.ts';

const keys = ['repository', 'repository_file', 'password_file', 'environment_file', 'read_back'];

type ConfigPlace = Pick<Place, 'configFile'>;
/** What holds where nothing is said. */
export type UsualEngine = Pick<Target, 'restic'>;

/**
 * `engine` and `restic` of the whole file, or of one target. A repository may be named while backups go into archives: those that
 * lie in it can be restored.
 */
export function engineIn(at: Located, place: ConfigPlace, from: From, usual: UsualEngine = {}): UsualEngine {
  const repository = repositoryIn(at, place, from) ?? usual.restic;
  const engine = at.get('engine');
  const named = engine === undefined ? (usual.restic?.active === true ? 'restic' : 'archive') : engine.value;
  if (named !== 'archive' && named !== 'restic') engine?.wrong('must be archive or restic');
  if (named === 'restic' && repository === undefined)
    engine?.wrong('is restic, and nothing says where: restic: { repository: …, password_file: … }');
  return repository === undefined ? {} : { restic: { ...repository, active: named === 'restic' } };
}

function repositoryIn(at: Located, { configFile }: ConfigPlace, from: From): ResticRepository | undefined {
  const section = at.get('restic')?.isMap === true ? at.section('restic') : undefined;
  if (section === undefined) {
    at.get('restic')?.wrong('must be { repository: …, password_file: … }');
    return undefined;
  }
  section.knownKeys(keys);
  const file = (key: string) => {
    const text = section.text(key);
    return text === undefined ? undefined : from(text);
  };
  const [named, inFile] = [section.text('repository'), file('repository_file')];
  if ((named === undefined) === (inFile === undefined))
    section.wrong('must say either repository (a path, sftp:…, rest:…, s3:…) or repository_file, which holds it');
  for (const key of ['repository', 'repository_file', 'password_file', 'environment_file'])
    if (section.get(key)?.value === '') section.get(key)?.wrong('is empty');
  const readBack = section.get('read_back');
  if (readBack !== undefined && readBack.value !== 'none' && readBack.value !== 'added')
    readBack.wrong('must be added, or none where fetching it again costs too much');
  return {
    repository: inFile !== undefined ? { file: inFile } : repositoryText(section, named ?? '', from),
    passwordFile: file('password_file') ?? join(dirname(configFile), '.restic-password'),
    environmentFile: file('environment_file') ?? null,
    readBack: readBack?.value !== 'none',
  };
}

/** A path begins at the home, as all others of the file do. */
function repositoryText(section: Located, text: string, from: From): string {
  if (text === '') return text; // Told already.
  if (/:\/\/[^/@:\s]*:[^/@\s]+@/.test(text))
    section
      .get('repository')
      ?.note('has a password in it, which everybody has who reads the configuration; repository_file keeps it apart');
  if (/^[a-z0-9]+:/.test(text) && !text.startsWith('local:')) return text;
  const path = text.replace(/^local:/, '');
  return isAbsolute(path) ? path : from(path);
}

/** Files of a repository that are secret: whoever has them has all that is in it. */
export function secretFilesOf({ restic }: Pick<Target, 'restic'>): string[] {
  if (restic === undefined) return [];
  const { repository, passwordFile, environmentFile } = restic;
  return [
    passwordFile,
    ...(environmentFile === null ? [] : [environmentFile]),
    ...(typeof repository === 'string' ? [] : [repository.file]),
  ];
}
