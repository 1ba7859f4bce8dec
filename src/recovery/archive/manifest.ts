import type { DatabaseFacts } from '../postgres/facts.ts';
import type { N8nKey } from '../source/n8n-key.ts';

/**
 * What stands beside an archive as `<name>.manifest.json`, signed in `<name>.manifest.json.sig` (64 bytes, Ed25519 over
 * the manifest's bytes). It is written after the archive was read back whole, so that its existence is the proof of that.
 */
export type Manifest = {
  format: 'leveredge-archive/1';
  /** The archive's file name: `dev-2026-01-16-103000.tar.zst`. */
  name: string;
  target: string;
  /** RFC 3339, UTC. Also in the name, to the second. */
  created_at: string;
  tool: string;
  reason: 'manual' | 'scheduled' | 'pre-change' | 'pre-restore';
  /** Shared by the archives of one `gaia backup full`. */
  set: string | null;
  /** The id of the event on the bus that it was made for; missing where none asked for it. */
  cause?: string;
  /** `databases`: no files, only the databases. Missing: all of it. */
  contents?: 'databases';
  /** What makes it less than whole, as sentences; empty for a sound backup. */
  degraded: readonly string[];
  /** What is no fault but worth knowing: a socket that was left out, an excluded mount. */
  notes: readonly string[];
  archive: { bytes: number; sha256: string; frames: number };
  /** Whose keys open it; missing where it is not encrypted. */
  encryption?: { format: 'age'; recipients: readonly string[] };
  /** Where the contents lie in a repository of restic; what is called the archive here is a small text that says so. */
  snapshot?: ManifestSnapshot;
  /** FILES.ndjson in the archive: where its header lies in the tar stream, and its contents. */
  list: { offset: number; bytes: number; sha256: string; entries: number };
  totals: Totals;
  trees: readonly { name: string; root: string }[];
  databases: readonly ManifestDatabase[];
  /** Databases of PostgreSQL servers; missing in backups of before there were any. */
  postgres?: readonly ManifestPostgres[];
  /** Of n8n's encryption keys in the folders; missing where none was found. */
  n8n_keys?: readonly N8nKey[];
  host: { name: string; kernel: string; os: string };
  /** SHA-256 (hex) of the manifest of the backup of this target before this one; null for the first. */
  previous_manifest_sha256: string | null;
  /** Ed25519, raw 32 bytes as base64. A convenience: trust comes from the key that the machine or the kit knows. */
  public_key: string;
};

export type ManifestSnapshot = {
  engine: 'restic';
  /** Of the snapshot, whole: 64 hexadecimal digits. It stands for all that is in it, as a digest of digests. */
  id: string;
  /** The folder in it with what lies in none of the target's: databases, recipe. Absolute. */
  set: string;
  /** Where each tree lies in it. Absolute. */
  roots: Readonly<Record<string, string>>;
  /** What was new in it, before it was compressed. */
  added_bytes: number;
};

/** Whether only who has a key can read it. */
export function isSecret({ encryption, snapshot }: Pick<Manifest, 'encryption' | 'snapshot'>): boolean {
  return encryption !== undefined || snapshot !== undefined;
}

export type Totals = {
  files: number;
  directories: number;
  symlinks: number;
  hardlinks: number;
  /** Bytes of all files as programs read them, holes included. */
  bytes: number;
  /** Bytes of all files as stored, without holes. */
  stored_bytes: number;
};

export type ManifestDatabase = {
  name: string;
  engine: 'sqlite';
  /** `sqlite/<name>.db` */
  member: string;
  /** The tree it lies in and the path within, else null and the absolute path. */
  tree: string | null;
  path: string;
  bytes: number;
  sha256: string;
  /** Found in the tree though the configuration does not name it. */
  discovered: boolean;
};

export type ManifestPostgres = DatabaseFacts & {
  /** As the configuration calls it. */
  name: string;
  engine: 'postgres';
  /** `db/<name>.dump`, of `pg_dump -Fc -Z0` */
  member: string;
  /** `db/globals.sql`: the roles of its server. Several databases of one server share it. */
  globals: string;
  bytes: number;
  sha256: string;
  /** How many rows each table had in the moment of the dump, by its quoted name; larger tables are not counted. */
  rows: Readonly<Record<string, number>>;
};
