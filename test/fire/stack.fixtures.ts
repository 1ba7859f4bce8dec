import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { engineProgram, fileFor } from './engines.fixtures.ts';
import { binaries } from './postgres.fixtures.ts';

const image = 'leveredge-test/stack';
/** Of the user that the server runs as, within the image. */
const serverId = 999;

/** As the entry point of the official image does it: a new data folder gets a user and a database, and is used from then on. */
const entry = `#!/bin/sh
set -e
as() { su -s /bin/sh postgres -c "$1"; }
mkdir -p "$PGDATA" /var/run/postgresql
chown -R ${serverId}:${serverId} "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  as "initdb -D $PGDATA -U $POSTGRES_USER -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null"
  as "pg_ctl -D $PGDATA -o \\"-c listen_addresses=''\\" -w start >/dev/null"
  psql -U "$POSTGRES_USER" -d postgres -qc "CREATE DATABASE $POSTGRES_DB"
  sleep 1
  as "pg_ctl -D $PGDATA -m fast -w stop >/dev/null"
  echo "host all all all trust" >> "$PGDATA/pg_hba.conf"
fi
exec su -s /bin/sh postgres -c "exec postgres -D $PGDATA -c listen_addresses=\${LISTEN:-127.0.0.1} -c fsync=off"
`;

/** Says over HTTP what the database says: 200 only where the application is well with what is in it. */
const health = `#!/bin/sh
say=$(psql -h "\${DB_HOST:-127.0.0.1}" -U app -d app -XqAtc 'SELECT said FROM status' 2>&1)
[ "$say" != flapping ] || { n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n + 1)) > /tmp/n; [ $((n % 2)) = 0 ] && say=well-1; }
case "$say" in
  well*) printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s %s\\n' "$say" "$(cat /site/version)" ;;
  *) echo "the application says: $say" >&2; printf 'HTTP/1.0 503 Unwell\\r\\n\\r\\n%s\\n' "$say" ;;
esac
`;

/** Where the programs of the server are in the image, and where it keeps its data. */
export const stackSettings = { PATH: `${binaries() ?? ''}:/bin`, PGDATA: '/var/lib/postgresql/data' };

/** Makes the image of server and application from this machine's own PostgreSQL and busybox. */
export function buildStackImage(): void {
  const settings = Object.entries(stackSettings)
    .map(([name, value]) => `-c 'ENV ${name}=${value}'`)
    .join(' ');
  withStackRoot([], (root) => shell(`tar -C ${root} -c . | ${engineProgram} import ${settings} - ${image}`));
}

/** The same as a tar file that an image can be built from where there is no engine yet, with further programs of this machine. */
export function packStackRoot(to: string, programs: readonly string[]): void {
  withStackRoot(programs, (root) => shell(`tar -C ${root} -cf ${to} .`));
}

const shell = (script: string) => execFileSync('sh', ['-c', script], { encoding: 'utf8', stdio: 'pipe' });

function withStackRoot(programs: readonly string[], use: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'fire-image-'));
  const bin = binaries() as string;
  const share = bin.replace('/lib/', '/share/').replace(/\/bin$/, '');
  try {
    for (const folder of ['bin', 'etc', 'tmp', 'var/run', 'www/cgi-bin', 'site'])
      mkdirSync(join(root, folder), { recursive: true });
    const keep = { recursive: true, verbatimSymlinks: true } as const;
    for (const folder of [dirname(bin), share, '/usr/share/zoneinfo', '/usr/lib/locale'])
      cpSync(folder, join(root, folder), keep);
    // What compiles queries, which is larger than all the rest.
    for (const name of ['bitcode', 'llvmjit.so', 'llvmjit_types.bc'])
      rmSync(join(root, dirname(bin), 'lib', name), { recursive: true, force: true });
    cpSync(shell('command -v busybox').trim(), join(root, 'bin', 'busybox'));
    for (const name of shell('busybox --list').trim().split('\n'))
      if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name));
    for (const name of programs) cpSync(shell(`readlink -f "$(command -v ${name})"`).trim(), join(root, 'bin', name));
    // Everything that the programs and the server's modules are linked with.
    const linked = [...programs.map((name) => join(root, 'bin', name)), join(root, dirname(bin))].join(' ');
    shell(
      `find ${linked} -type f | xargs ldd 2>/dev/null | grep -oE '/[^ :]+\\.so[^ :)]*' | sort -u | ` +
        `grep -v '^${root}' | xargs cp -L --parents -t ${root}`,
    );
    writeFileSync(join(root, 'etc/passwd'), `root:x:0:0::/:/bin/sh\npostgres:x:${serverId}:${serverId}::/:/bin/sh\n`);
    writeFileSync(join(root, 'etc/group'), `root:x:0:\npostgres:x:${serverId}:\n`);
    writeFileSync(join(root, 'entry'), entry, { mode: 0o755 });
    writeFileSync(join(root, 'www/cgi-bin/health'), health, { mode: 0o755 });
    shell(`chmod 755 ${root} && chmod 1777 ${root}/tmp`);
    use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A compose file of a database and an application that needs it, on the machine's own loopback. */
export function stackFile(ports: { database: number; web: number }): string {
  return fileFor(`version: "3"
services:
  db:
    image: ${image}
    command: ["/entry"]
    network_mode: host
    restart: always
    stop_grace_period: 5s
    environment: { POSTGRES_USER: app, POSTGRES_DB: app, PGPORT: "${ports.database}" }
    volumes: ["./pgdata:/var/lib/postgresql/data"]
  web:
    image: ${image}
    command: ["/bin/httpd", "-f", "-v", "-p", "127.0.0.1:${ports.web}", "-h", "/www"]
    network_mode: host
    restart: always
    stop_grace_period: 1s
    depends_on: [db]
    environment: { PGPORT: "${ports.database}" }
    volumes: ["./site:/site", "uploads:/uploads", "cache:/cache"]
volumes: { uploads: {}, cache: {} }
`);
}

/** The same in a network of its own, with a published port. Its own address is `web`, port 80. */
export function networkedFile(web: number): string {
  return `version: "3"
services:
  db:
    image: ${image}
    command: ["/entry"]
    restart: always
    stop_grace_period: 5s
    environment: { POSTGRES_USER: app, POSTGRES_DB: app, LISTEN: "0.0.0.0" }
    volumes: ["./pgdata:/var/lib/postgresql/data"]
  web:
    image: ${image}
    container_name: the-only-web
    command: ["/bin/httpd", "-f", "-v", "-p", "80", "-h", "/www"]
    restart: always
    stop_grace_period: 1s
    depends_on: [db]
    environment: { DB_HOST: db }
    volumes: ["./site:/site"]
    ports: ["127.0.0.1:${web}:80"]
`;
}
