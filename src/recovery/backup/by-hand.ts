import { dirname } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { ManifestDatabase, ManifestPostgres, ManifestSnapshot } from '../archive/manifest.ts';
import { pointerEnd, sealedEnd } from '../archive/manifest-file.ts';
import { createStatements, propertyStatements } from '../postgres/recreate.ts';
import type { PostgresDatabase, Tree } from '../target.ts';

const tarFlags = "--xattrs --xattrs-include='*' --acls --numeric-owner --same-owner --sparse -p";

type What = {
  archive: string;
  target: string;
  created: string;
  trees: readonly Pick<Tree, 'name' | 'root'>[];
  databases: readonly ManifestDatabase[];
  /** Databases of PostgreSQL servers; while a backup is made, only how they are called. */
  postgres?: readonly (ManifestPostgres | PostgresDatabase)[] | undefined;
  /** Commands that check the archive further. */
  checks?: readonly string[];
  /** Of one in a repository: where its parts lie there. Its id is not known yet while it is made. */
  snapshot?:
    | (Pick<ManifestSnapshot, 'set' | 'roots'> & { id: string | null; environment: readonly string[] })
    | undefined;
};

/**
 * What a person with a rescue disk types to put this backup back with zstd, tar and sqlite3 alone, as a script that stops at
 * the first failure. `$ARCHIVE` and `$WORK` may be set before it. What is there is moved aside, never removed.
 */
export function byHandScript(what: What): string[] {
  const { target, created, trees, databases, postgres = [], snapshot } = what;
  const lines = [
    `# ${target}, as it was ${created}. As root, with everything stopped that works in these folders.`,
    'set -eu',
    // Beside the first tree, so that moving into place is a rename.
    `WORK=\${WORK:-${shellWord(`${trees[0]?.root ?? '/var/tmp/restore'}.by-hand`)}}`,
    'ASIDE=before-restore.$(date -u +%Y%m%dT%H%M%SZ)',
    ...(snapshot === undefined ? unpackLines(what) : fetchLines(what.archive, snapshot)),
    '',
  ];
  if (databases.length > 0) {
    lines.push('# 3. Databases were copied by SQLite and lie apart. Check each, and put it where it belongs.');
    for (const database of databases) lines.push(...databaseLines(database));
    lines.push('');
  }
  lines.push('# 4. Move what is there aside, and the new one into its place.');
  for (const { name, root } of trees) {
    const at = shellWord(root);
    lines.push(`if [ -e ${at} ]; then mv -T ${at} ${at}."$ASIDE"; fi`);
    lines.push(`mkdir -p "$(dirname ${at})"`, `mv -T "$WORK"/files/${name} ${at}`);
  }
  for (const { member, path } of databases.filter(({ tree }) => tree === null)) {
    const at = shellWord(path);
    lines.push(
      `mkdir -p "$(dirname ${at})"`,
      `for END in '' -wal -shm -journal; do if [ -e ${at}$END ]; then mv ${at}$END ${at}."$ASIDE"$END; fi; done`,
    );
    lines.push(`cp -a "$WORK"/${member} ${at}`);
  }
  lines.push(...postgresLines(postgres));
  lines.push('sync', 'echo "Done. What was there before ends in .$ASIDE; $WORK can go when all is well."');
  return lines;
}

/** Out of an archive. */
function unpackLines({ archive, checks = [] }: What): string[] {
  const isSealed = archive.endsWith(sealedEnd);
  // What comes out of a pipe that broke is not whole either, and the frames say so.
  const open = isSealed ? 'age -d -i "$IDENTITY" "$ARCHIVE" | ' : '';
  return [
    `ARCHIVE=\${ARCHIVE:-${shellWord(archive)}}`,
    ...(isSealed ? [`: "\${IDENTITY:?is the file with the key that opens it: the recovery kit}"`] : []),
    '',
    '# 1. Is the archive whole? Each frame has a checksum.',
    isSealed ? `${open}zstd -tq` : 'zstd -tq "$ARCHIVE"',
    ...checks,
    '',
    '# 2. Unpack it beside what is there. As root, so that owners are kept.',
    // On a bare machine there is no folder above the target either.
    'mkdir -p "$(dirname "$WORK")"',
    'mkdir -m 0700 "$WORK"',
    `${open}zstd -dcq ${isSealed ? '' : '"$ARCHIVE" '}| tar -x ${tarFlags} -f - -C "$WORK"`,
  ];
}

/** Out of a repository of restic. */
function fetchLines(name: string, { id, set, roots, environment }: NonNullable<What['snapshot']>): string[] {
  return [
    `ARCHIVE=${shellWord(name)}`,
    ...environment,
    id === null ? `: "\${SNAPSHOT:?is its id: restic snapshots}"` : `SNAPSHOT=${id}`,
    '',
    '# 1. and 2. Fetch it beside what is there; restic compares what it fetches. As root, so that owners are kept.',
    'mkdir -p "$(dirname "$WORK")"',
    'mkdir -m 0700 "$WORK" "$WORK"/files',
    'restic restore "$SNAPSHOT" --target "$WORK"/all',
    // First what may lie within a folder that comes next.
    `mv "$WORK"/all${shellWord(set)}/* "$WORK"/`,
    `rm -r "$WORK"/all${shellWord(dirname(dirname(dirname(set))))}`,
    ...Object.entries(roots).map(([name, root]) => `mv -T "$WORK"/all${shellWord(root)} "$WORK"/files/${name}`),
  ];
}

/** For a person, since the server must be started first, and only they know how it is reached now. */
function postgresLines(databases: readonly (ManifestPostgres | PostgresDatabase)[]): string[] {
  if (databases.length === 0) return [];
  const lines = [
    '',
    '# 5. Databases of PostgreSQL servers. Start the server, and type for each, as its superuser (in a container: with',
    '#    docker compose exec -T SERVICE before each command). Roles that are there already are no harm. A database of that',
    '#    name is moved aside with: ALTER DATABASE … RENAME TO …',
  ];
  for (const database of databases) {
    const dump = `"$WORK"/db/${database.name}.dump`;
    const name = database.database ?? database.name;
    const globals = 'globals' in database ? database.globals : 'db/globals.sql';
    const statements =
      'owner' in database
        ? [...createStatements(name, database), ...propertyStatements(name, database)]
        : [`CREATE DATABASE "${name}" TEMPLATE template0`];
    lines.push(
      `#      psql -d postgres < "$WORK"/${globals}`,
      ...statements.map((text) => `#      psql -d postgres -c ${shellWord(text.replaceAll('\n', ' '))}`),
      `#      pg_restore --exit-on-error -d ${shellWord(name)} < ${dump}`,
    );
  }
  const at = databases.map(({ name }) => `db/${name}.dump`).join(' ');
  return [...lines, `echo "Still to be loaded into their servers, as step 5 says: ${at} in $WORK"`];
}

function databaseLines({ member, tree, path }: ManifestDatabase): string[] {
  const check = `[ "$(sqlite3 "$WORK"/${member} 'PRAGMA integrity_check')" = ok ]`;
  if (tree === null) return [check];
  const to = `"$WORK"/files/${tree}/${shellWord(path)}`;
  return [
    check,
    `cp -a "$WORK"/${member} ${to}`,
    `printf '{"backup":"%s","restored_at":"%s"}\\n' "$(basename "$ARCHIVE")" "$(date -u +%FT%TZ)" > "$(dirname ${to})"/RESTORED.json`,
  ];
}

function programsFor(archive: string): string {
  if (archive.endsWith(pointerEnd)) return 'restic';
  return archive.endsWith(sealedEnd) ? 'age, zstd, GNU tar' : 'zstd, GNU tar';
}

/** RESTORE.txt within a backup. */
export function restoreText(what: What): string {
  return [
    `This is a backup of ${what.target}, made ${what.created} by LeverEdge.`,
    '',
    `With GAIA:          gaia restore ${what.target}`,
    `Without:            the commands below need ${programsFor(what.archive)} and sqlite3 only; and pg_restore where there is db/.`,
    '',
    'What is where:      HEADER.json     what this is',
    '                    files/NAME/     each folder that was backed up, whole',
    '                    sqlite/         SQLite databases, copied while they were in use',
    '                    db/             dumps of PostgreSQL databases, for pg_restore, and the roles of their servers',
    '                    recipe/         where all of it belongs',
    '                    program/gaia    the program, where it is part of the backup',
    '                    FILES.ndjson    each member with its SHA-256, a line each',
    '',
    ...byHandScript(what),
    '',
  ].join('\n');
}

/** The same for an archive of an older tool, which says nothing of itself. */
export function oldByHandScript({
  archive,
  target,
  root,
}: {
  archive: string;
  target: string;
  root: string;
}): string[] {
  return [
    '#!/bin/sh',
    `# ${target}, from an archive of an older tool. As root, with everything stopped that works in this folder.`,
    'set -eu',
    `ARCHIVE=\${ARCHIVE:-${shellWord(archive)}}`,
    `WORK=\${WORK:-${shellWord(`${root}.by-hand`)}}`,
    'gzip -tq "$ARCHIVE"',
    'tar -tzf "$ARCHIVE" | head -20',
    'mkdir -p "$(dirname "$WORK")"',
    'mkdir -m 0700 "$WORK"',
    `tar -xzf "$ARCHIVE" ${tarFlags} -C "$WORK"`,
    `# Look whether it has one folder around everything: ls -la "$WORK"`,
    `# Then move what is there aside, and that folder (or $WORK itself) to ${shellWord(root)}:`,
    `#   mv -T ${shellWord(root)} ${shellWord(`${root}.before-restore`)}`,
    `#   mv -T "$WORK" ${shellWord(root)}`,
  ];
}

/**
 * For any backup, when nothing is known but that there is one: it is checked and unpacked, and its own RESTORE.txt, which
 * has every path, says the rest. `ARCHIVE` and `WORK` must be set.
 */
export function anyByHandScript(): string[] {
  return [
    '#!/bin/sh',
    '# Any backup by hand, as root. First say which, and where there is room to unpack it:',
    '#   ARCHIVE=/path/of/backups/prod/prod-….tar.zst WORK=/var/tmp/by-hand sh this-script',
    '# and, where its name ends in .age, with IDENTITY=/path/of/recovery-key.txt before it.',
    'set -eu',
    `: "\${ARCHIVE:?is the archive}" "\${WORK:?is a folder that is not there yet}"`,
    '',
    '# 1. Is the archive whole? Each frame has a checksum; the manifest beside it has the SHA-256 of the file.',
    `MANIFEST=\${ARCHIVE%.age}; MANIFEST=\${MANIFEST%.tar.zst}.manifest.json`,
    'case "$ARCHIVE" in',
    `  *.age) : "\${IDENTITY:?is the file with the key that opens it: the recovery kit}"`,
    '    opened() { age -d -i "$IDENTITY" "$ARCHIVE"; } ;;',
    '  *) opened() { cat "$ARCHIVE"; } ;;',
    'esac',
    'opened | zstd -tq',
    'if [ -e "$MANIFEST" ]; then',
    '  grep -q "$(sha256sum < "$ARCHIVE" | cut -d " " -f 1)" "$MANIFEST" || { echo "It is not what its manifest says." >&2; exit 1; }',
    'fi',
    '',
    '# 2. Unpack it.',
    'mkdir -p "$(dirname "$WORK")"',
    'mkdir -m 0700 "$WORK"',
    `opened | zstd -dcq | tar -x ${tarFlags} -f - -C "$WORK"`,
    '',
    '# 3. Are its databases sound?',
    'for DB in "$WORK"/sqlite/*.db; do',
    '  [ ! -e "$DB" ] || [ "$(sqlite3 "$DB" \'PRAGMA integrity_check\')" = ok ]',
    'done',
    '',
    '# 4. Where all of it belongs, and the commands from here on (its steps 3 and 4), says',
    'echo "Unpacked and sound. Go on with steps 3 and 4 of: $WORK/RESTORE.txt"',
  ];
}
