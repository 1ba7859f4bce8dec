import { createHash, type KeyObject } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { damaged } from '../tar/damage.ts';
import type { Manifest } from './manifest.ts';
import { checkSignature, type Signature, type Signer } from './sign.ts';

/** What an archive of our own is called, and one that is encrypted. */
export const archiveEnd = '.tar.zst';
export const sealedEnd = '.tar.zst.age';
/** A text that says where in a repository of restic a backup lies. */
export const pointerEnd = '.restic';
export const backupEnds = [sealedEnd, archiveEnd, pointerEnd];
const maxManifestBytes = 16 * 1024 * 1024;

/** The names of what belongs to an archive. */
export function filesBeside(archive: string): { manifest: string; signature: string } {
  const end = backupEnds.find((each) => archive.endsWith(each)) ?? '';
  const stem = archive.slice(0, archive.length - end.length);
  return { manifest: `${stem}.manifest.json`, signature: `${stem}.manifest.json.sig` };
}

/** Whether it is called as a backup of our own: an archive, encrypted or not, or one in a repository. */
export function isOwnArchive(name: string): boolean {
  return backupEnds.some((end) => name.endsWith(end));
}

/** A manifest with its digest and who signed it. */
export type SignedManifest = { manifest: Manifest; sha256: string; signature: Signature };

/**
 * Writes manifest and signature beside the archive, on disk when it returns. What is there already is replaced.
 * @throws the system's error
 */
export function writeManifest(archive: string, manifest: Manifest, signer: Signer): string {
  const bytes = manifestBytes(manifest);
  const names = filesBeside(archive);
  writeWhole(names.signature, signer.sign(bytes));
  writeWhole(names.manifest, bytes);
  return digestOf(bytes);
}

/** The manifest as it is written and signed. */
export function manifestBytes(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`);
}

/** A file that is there whole or not at all, mode 0600, on disk. */
export function writeWhole(file: string, bytes: Uint8Array): void {
  const partial = join(dirname(file), `.${basename(file)}.partial`);
  const fd = openSync(partial, 'w', 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(partial, file);
}

/**
 * Reads what stands beside an archive, and judges signature and shape; undefined when there is no manifest.
 * @throws Fault `damaged` when it is none, is not signed, or speaks of another archive
 */
export function readManifest(archive: string, known: KeyObject | undefined): SignedManifest | undefined {
  const names = filesBeside(archive);
  const bytes = bytesOf(names.manifest);
  if (bytes === undefined) return undefined;
  const signature = bytesOf(names.signature);
  if (signature === undefined) throw damaged(`The manifest ${basename(names.manifest)} has no signature beside it.`);
  const manifest = parseManifest(bytes);
  const judged = checkSignature(bytes, signature, manifest?.public_key ?? '', known);
  if (judged.kind === 'bad')
    throw damaged(`The manifest ${basename(names.manifest)} is not to be trusted: ${judged.reason}.`);
  if (manifest === undefined) throw damaged(`${basename(names.manifest)} is no manifest of a backup.`);
  if (manifest.name !== basename(archive))
    throw damaged(`The manifest beside ${basename(archive)} is of another archive, ${JSON.stringify(manifest.name)}.`);
  return { manifest, sha256: digestOf(bytes), signature: judged };
}

/** The digest of the manifest beside an archive, or undefined when there is none. Judges nothing. */
export function digestBeside(archive: string): string | undefined {
  const bytes = bytesOf(filesBeside(archive).manifest);
  return bytes === undefined ? undefined : digestOf(bytes);
}

function bytesOf(file: string): Buffer | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return undefined;
  if (found.size > maxManifestBytes) throw damaged(`${basename(file)} is too large to be a manifest.`);
  return readFileSync(file);
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The manifest, or undefined when some member of it is not as it must be. Unknown members are let be. */
export function parseManifest(bytes: Buffer): Manifest | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return isManifest(value) ? value : undefined;
  } catch {
    return undefined; // No JSON.
  }
}

const isText = (v: unknown) => typeof v === 'string';
const isCount = (v: unknown) => Number.isSafeInteger(v) && (v as number) >= 0;
const isDigest = (v: unknown) => typeof v === 'string' && /^[0-9a-f]{64}$/.test(v);
const isList = (v: unknown, of: (each: unknown) => boolean) => Array.isArray(v) && v.every(of);
const isNullOr = (v: unknown, is: (each: unknown) => boolean) => v === null || is(v);
const fits = (v: unknown, shape: Record<string, (each: unknown) => boolean>) =>
  typeof v === 'object' &&
  v !== null &&
  Object.entries(shape).every(([key, is]) => is((v as Record<string, unknown>)[key]));

function isManifest(value: unknown): value is Manifest {
  return fits(value, {
    format: (v) => v === 'leveredge-archive/1',
    name: isText,
    target: isText,
    created_at: (v) => isText(v) && !Number.isNaN(Date.parse(v as string)),
    tool: isText,
    reason: (v) => ['manual', 'scheduled', 'pre-change', 'pre-restore'].includes(v as string),
    set: (v) => isNullOr(v, isText),
    cause: (v) => v === undefined || isText(v),
    contents: (v) => v === undefined || v === 'databases',
    degraded: (v) => isList(v, isText),
    notes: (v) => isList(v, isText),
    archive: (v) => fits(v, { bytes: isCount, sha256: isDigest, frames: isCount }),
    list: (v) => fits(v, { offset: isCount, bytes: isCount, sha256: isDigest, entries: isCount }),
    totals: (v) =>
      fits(v, {
        files: isCount,
        directories: isCount,
        symlinks: isCount,
        hardlinks: isCount,
        bytes: isCount,
        stored_bytes: isCount,
      }),
    trees: (v) => isList(v, (each) => fits(each, { name: isText, root: isText })),
    databases: (v) =>
      isList(v, (each) =>
        fits(each, {
          name: isText,
          engine: (e) => e === 'sqlite',
          member: isText,
          tree: (t) => isNullOr(t, isText),
          path: isText,
          bytes: isCount,
          sha256: isDigest,
          discovered: (d) => typeof d === 'boolean',
        }),
      ),
    postgres: (v) => v === undefined || isList(v, isPostgres),
    n8n_keys: (v) => v === undefined || isList(v, (each) => fits(each, { at: isText, fingerprint: isText })),
    host: (v) => fits(v, { name: isText, kernel: isText, os: isText }),
    previous_manifest_sha256: (v) => isNullOr(v, isDigest),
    public_key: isText,
    snapshot: (v) => v === undefined || isSnapshot(v),
    encryption: (v) => v === undefined || fits(v, { format: (f) => f === 'age', recipients: (l) => isList(l, isText) }),
  });
}

const isAbsolutePath = (v: unknown) => isText(v) && (v as string).startsWith('/');
const isSnapshot = (value: unknown) =>
  fits(value, {
    engine: (v) => v === 'restic',
    id: isDigest,
    set: isAbsolutePath,
    roots: (v) => typeof v === 'object' && v !== null && Object.values(v).every(isAbsolutePath),
    added_bytes: isCount,
  });

const isPostgres = (value: unknown) =>
  fits(value, {
    name: isText,
    engine: (e) => e === 'postgres',
    member: (v) => isText(v) && /^db\/[^/]+\.dump$/.test(v as string),
    globals: (v) => isText(v) && /^db\/[^/]+\.sql$/.test(v as string),
    bytes: isCount,
    sha256: isDigest,
    database: isText,
    version_num: isCount,
    encoding: isText,
    collate: isText,
    ctype: isText,
    provider: (v) => ['libc', 'icu', 'builtin'].includes(v as string),
    locale: (v) => isNullOr(v, isText),
    icu_rules: (v) => isNullOr(v, isText),
    owner: isText,
    tablespace: (v) => isNullOr(v, isText),
    connection_limit: (v) => Number.isSafeInteger(v),
    comment: (v) => isNullOr(v, isText),
    acl: (v) =>
      isNullOr(v, (l) =>
        isList(l, (each) =>
          fits(each, {
            grantee: (g) => isNullOr(g, isText),
            privilege: isText,
            grantable: (g) => typeof g === 'boolean',
          }),
        ),
      ),
    settings: (v) =>
      isList(v, (each) => fits(each, { role: (r) => isNullOr(r, isText), values: (l) => isList(l, isText) })),
    extensions: (v) => isList(v, (each) => fits(each, { name: isText, version: isText })),
    size: isCount,
    relations: isCount,
    rows: (v) => typeof v === 'object' && v !== null && Object.values(v).every(isCount),
  });
