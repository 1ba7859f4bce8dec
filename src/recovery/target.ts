import type { HealthCheck } from './health/gate.ts';
import type { ResticRepository } from './restic/repository.ts';

/** What is backed up and restored as one: folders and databases that belong together. */
export type Target = {
  /** `control-plane`, `prod`, `dev` or another name of the configuration; lowercase letters, digits and `-`. */
  name: string;
  /** At least one. Names are unique within the target and become folders in the archive: `files/<name>/…`. */
  trees: readonly Tree[];
  databases: readonly SqliteDatabase[];
  /** Databases of PostgreSQL servers. */
  postgres?: readonly PostgresDatabase[];
  /** Docker's names of volumes: those whose folders belong to the target, and those that are left out. */
  volumes?: { include: readonly string[]; exclude: readonly string[] };
  /** Compose files, absolute, of the services that work on it, in the order in which they are started. */
  compose?: readonly string[];
  /** Units of systemd that work on it, in the order in which they are started. */
  units?: readonly TargetUnit[];
  /** What a restore asks afterwards. `none`: the owner says that there is nothing to ask; `unproven`: nobody said what. */
  health: 'none' | 'unproven' | HealthCheck;
  /** Recipients of age. Missing: nobody said any; empty: somebody said none. Then its backups are not encrypted. */
  encryptTo?: readonly string[];
  /** Its backups go into a repository of restic; missing: into archives. Read from there also when it is not `active`. */
  restic?: ResticRepository & { active: boolean };
};

/**
 * The program that makes the backup, where it belongs into it: into a whole one of the control plane that brings all of its home
 * back, unless a copy lies in that home already.
 */
export function programFor(
  { name, trees }: Pick<Target, 'name' | 'trees'>,
  program: string | undefined,
  exists: (path: string) => boolean,
): string | undefined {
  const own = trees.find((tree) => tree.name === 'gaia' && tree.optional === true);
  if (program === undefined || name !== 'control-plane' || own === undefined) return undefined;
  const isInside = trees.some(({ root }) => program.startsWith(`${root}/`));
  return isInside || exists(`${own.root}/bin/gaia`) ? undefined : program;
}

/** A folder that is backed up whole and put back whole. */
export type Tree = {
  name: string;
  /** Absolute, without a trailing slash. */
  root: string;
  /** Relative to the root. A path (`cache`, `n8n/tmp`) or a glob (`*` within a name, `**` across). Never touched by a restore. */
  exclude: readonly string[];
  /** Mount points under the root, relative to it: each must be named in one of the two lists. */
  mounts: { include: readonly string[]; exclude: readonly string[] };
  /** Relative paths that only an encrypted backup holds; a restore of another leaves them as they are. */
  secrets?: readonly string[];
  /** All of it is secret. */
  isSecret?: boolean;
  /** One that not every machine has: backed up where it is there, and restored where the backup has it. */
  optional?: boolean;
};

/** The target as an encrypted backup has it, or one that is not: then what is secret is neither backed up nor touched. */
export function withSecrets(target: Target, isEncrypted: boolean): Target {
  if (isEncrypted) return target;
  const trees = target.trees
    .filter(({ isSecret }) => isSecret !== true)
    .map((tree) => ({ ...tree, exclude: [...tree.exclude, ...(tree.secrets ?? [])] }));
  return { ...target, trees };
}

export type SqliteDatabase = {
  /** Unique in the target; lowercase letters, digits, `-`, `_`, `.`. In the archive: `sqlite/<name>.db`. */
  name: string;
  /** Absolute. Within a tree or outside of all. */
  path: string;
};

/** A unit with its ending, as `atlas.service`; of a user's own systemd, or of the machine's (null). */
export type TargetUnit = { name: string; user: string | null };

export type PostgresDatabase = {
  /** Unique among all databases of the target. In the archive: `db/<name>.dump`. */
  name: string;
  reach:
    | { kind: 'service'; service: string }
    | { kind: 'socket'; folder: string; port: number }
    /** Parameters of libpq: `host`, `port`, and what the URL says besides. */
    | { kind: 'url'; parameters: Readonly<Record<string, string>> };
  /** On the server; null for what the container says (POSTGRES_DB), else the user's name. */
  database: string | null;
  /** Null for what the container says (POSTGRES_USER), else `postgres`. */
  user: string | null;
  /** Absolute; mode 0600. */
  passwordFile: string | null;
};

/** What a restore stops and starts, for a person to read: units, then compose files. */
export function stopsOf({ units = [], compose = [] }: Pick<Target, 'units' | 'compose'>): string[] {
  return [...units.map(unitText), ...compose];
}

/** A unit as a sentence names it. */
export function unitText({ name, user }: TargetUnit): string {
  return user === null ? name : `${name} of ${user}`;
}

/** The compose services that hold the target's databases. */
export function databaseServices({ postgres = [] }: Pick<Target, 'postgres'>): string[] {
  return [...new Set(postgres.flatMap(({ reach }) => (reach.kind === 'service' ? [reach.service] : [])))];
}
