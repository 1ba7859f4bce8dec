import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash, hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Machine, machineName } from './machine.fixtures.ts';
import { mirrorSource } from './mirror.fixtures.ts';
import { packStackRoot, stackSettings } from './stack.fixtures.ts';
import { type Reach, writersTables } from './writers.fixtures.ts';

export const home = '/opt/leveredge';

/** What the machine has installed beside Debian; what a new one needs is among it. */
export const packages = [
  'zstd',
  'openssl',
  'age',
  'cron',
  'docker.io',
  'docker-compose',
  'restic',
  'sqlite3',
  'libatomic1',
  'libstdc++6',
];

/** The databases that are written to all the time. */
export const reaches: { postgres: Reach; sqlite: Reach } = {
  postgres: {
    shell: 'docker exec -i prod_db_1 psql -h 127.0.0.1 -U app -d app -XqAt -v ON_ERROR_STOP=1',
    begin: 'BEGIN',
  },
  sqlite: { shell: `sqlite3 -bail -cmd '.timeout 30000' ${home}/data-plane/prod/shop.db`, begin: 'BEGIN IMMEDIATE' },
};

const secret = randomBytes(18).toString('base64url');
const key = randomBytes(24).toString('base64');

const config = `restore_targets:
  control-plane: { health: none }
  data-plane:
    prod:
      compose: compose.yml
      databases:
        - { name: shop, engine: sqlite, path: shop.db }
        - { name: app, engine: postgres, service: db }
      health:
        endpoints: [ { name: web, url: "http://127.0.0.1:8080/page" } ]
        n8n:
          url: "http://127.0.0.1:5678/cgi-bin"
          canary: { webhook: /webhook/canary, listen: "127.0.0.1:8098", header: x-canary, sha256: ${hash('sha256', secret)} }
        within_seconds: 60
        consecutive: 2
    dev:
      units:
        - { name: app.service, user: owner }
        - watch.service
        - yearly.service
        - yearly.timer
        - { name: tidy.service, user: owner }
        - { name: tidy.timer, user: owner }
      health: { endpoints: [ { name: app, url: "http://127.0.0.1:8081/page" } ], within_seconds: 30, consecutive: 2 }
`;

/** Images are built from what lies beside the file: no registry is there. */
const compose = `version: "3"
services:
  db:
    image: shop/server
    build: ./server
    command: ["/entry"]
    network_mode: host
    restart: always
    stop_grace_period: 5s
    environment: { POSTGRES_USER: app, POSTGRES_DB: app }
    volumes: ["./pgdata:${stackSettings.PGDATA}"]
  n8n:
    image: shop/server
    command: ["/bin/httpd", "-f", "-p", "127.0.0.1:5678", "-h", "/n8n"]
    network_mode: host
    restart: always
    stop_grace_period: 1s
    depends_on: [db]
    volumes: ["./n8n/data:/data/.n8n", "./n8n/program:/n8n/cgi-bin:ro"]
  web:
    build: ./web
    command: ["/busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/site"]
    network_mode: host
    restart: always
    stop_grace_period: 1s
    volumes: ["./site:/site"]
`;

const server = `FROM scratch
ADD root.tar /
ENV PATH=${stackSettings.PATH} PGDATA=${stackSettings.PGDATA}
`;

/**
 * Stands in for n8n: ready once its database is, and with a workflow that sends a credential on. That lies in the database as
 * n8n writes it, and opens with the key in n8n's own folder and with no other.
 */
const n8n = {
  'healthz/readiness': `#!/bin/sh
psql -h 127.0.0.1 -U app -d app -XqAtc 'SELECT 1' >/dev/null 2>&1 && state='200 OK' || state='503 Unwell'
printf "HTTP/1.0 $state\\r\\nContent-Type: application/json\\r\\n\\r\\n{}"
`,
  'webhook/canary': `#!/bin/sh
head -c "$CONTENT_LENGTH" >/dev/null
key=$(sed -n 's/.*"encryptionKey": "\\(.*\\)".*/\\1/p' /data/.n8n/config)
kept=$(psql -h 127.0.0.1 -U app -d app -XqAtc "SELECT data FROM credentials_entity WHERE name = 'canary'")
value=$(echo "$kept" | openssl enc -d -aes-256-cbc -md md5 -base64 -A -pass "pass:$key" 2>/dev/null | sed -n 's/.*"value":"\\(.*\\)".*/\\1/p')
wget -q -O /dev/null --header "x-canary: $value" http://127.0.0.1:8098/ >/dev/null 2>&1 &
printf 'HTTP/1.0 200 OK\\r\\nContent-Type: application/json\\r\\n\\r\\n{"message":"Workflow was started"}'
`,
};

/** As n8n encrypts with its key: OpenSSL's own form, with its old derivation. */
function sealed(text: string): string {
  const salt = randomBytes(8);
  let block = Buffer.alloc(0);
  const derived: Buffer[] = [];
  while (derived.length < 3) {
    block = createHash('md5').update(block).update(key).update(salt).digest();
    derived.push(block);
  }
  const [first, second, iv] = derived as [Buffer, Buffer, Buffer];
  const cipher = createCipheriv('aes-256-cbc', Buffer.concat([first, second]), iv);
  return Buffer.concat([Buffer.from('Salted__'), salt, cipher.update(text), cipher.final()]).toString('base64');
}

const n8nTables = `CREATE TABLE credentials_entity (name text PRIMARY KEY, data text NOT NULL);
INSERT INTO credentials_entity VALUES ('canary', '${sealed(JSON.stringify({ name: 'x-canary', value: secret }))}');
CREATE TABLE workflow_entity (name text PRIMARY KEY, active boolean NOT NULL);
INSERT INTO workflow_entity VALUES ('canary', true);
`;

const unit = (command: string, target: string) => `[Service]\nExecStart=${command}\n\n[Install]\nWantedBy=${target}\n`;
const task = '[Service]\nType=oneshot\nExecStart=/bin/true\n';
const timer = '[Timer]\nOnCalendar=*-01-01 04:05\n\n[Install]\nWantedBy=timers.target\n';

/** Makes of a Debian the machine that the drill is about: control-plane, prod and dev, with all that they need beside them. */
export async function fillMachine(on: Machine): Promise<void> {
  on.write('/etc/apt/sources.list', mirrorSource);
  const install = 'apt-get install -y -qq --no-install-recommends';
  await on.well(`apt-get update -qq && DEBIAN_FRONTEND=noninteractive ${install} ${packages.join(' ')}`);
  await on.well('systemctl start docker');
  on.write(`${home}/gaia/config.yaml`, config);
  on.write(`${home}/control-plane/notes`, 'what only the control plane knows\n');
  on.write(`${home}/shared/credentials/token`, 'a secret\n');
  await on.well(`chmod 600 ${home}/shared/credentials/token`);
  await on.well(`mkdir -p ${home}/gaia/bin && cp /usr/local/bin/gaia ${home}/gaia/bin/gaia`);
  await fillProd(on);
  await fillDev(on);
  await on.well("printf '5 4 * * * /bin/true\\n' | crontab -u owner -");
}

/** From now on its backups go into the repository of restic at this address. The program lies where it is installed alone. */
export async function useRepository(on: Machine, address: string): Promise<void> {
  const gaia = `${home}/gaia`;
  on.write(`${gaia}/.restic-repository`, `${address}\n`);
  on.write(`${gaia}/.restic-password`, 'a word that only the kit has beside this machine\n');
  on.write(`${gaia}/config.yaml`, `engine: restic\nrestic: { repository_file: gaia/.restic-repository }\n${config}`);
  await on.well(`chmod 600 ${gaia}/.restic-* && rm -r ${gaia}/bin && gaia repository new`);
}

async function fillProd(on: Machine): Promise<void> {
  const prod = `${home}/data-plane/prod`;
  on.write(`${prod}/compose.yml`, compose);
  on.write(`${prod}/web/Dockerfile`, 'FROM scratch\nCOPY busybox /busybox\n');
  on.write(`${prod}/server/Dockerfile`, server);
  on.write(`${prod}/site/page`, 'prod is well\n');
  for (const [name, text] of Object.entries(n8n)) on.write(`${prod}/n8n/program/${name}`, text);
  on.write(`${prod}/n8n/data/config`, `{\n\t"encryptionKey": "${key}"\n}\n`);
  await on.well(`cd ${prod}/n8n && chmod 755 program/*/* && chown -R 1000:1000 data && chmod 600 data/config`);
  const folder = mkdtempSync(join(tmpdir(), 'fire-root-'));
  try {
    packStackRoot(join(folder, 'root.tar'), ['openssl']);
    put(join(folder, 'root.tar'), `${prod}/server/root.tar`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  put(busybox(), `${prod}/web/busybox`);
  await on.well(
    `cd ${prod} && sqlite3 shop.db 'PRAGMA journal_mode = WAL; CREATE TABLE item AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i AS id, i * 3 AS price FROM n'`,
  );
  await on.well(`cd ${prod} && docker-compose up -d --build`);
  const ask = `echo 'SHOW listen_addresses' | ${reaches.postgres.shell}`;
  for (let n = 0; (await on.sh(ask)).exit !== 0 && n < 100; n++) await pause(200);
  on.write('/tmp/tables.sql', writersTables + n8nTables);
  on.write('/tmp/writers.sql', writersTables);
  await on.well(`${reaches.postgres.shell} </tmp/tables.sql`);
  await on.well(`${reaches.sqlite.shell} </tmp/writers.sql`);
}

async function fillDev(on: Machine): Promise<void> {
  const dev = `${home}/data-plane/dev`;
  const own = '/var/lib/owner/.config/systemd/user';
  on.write(`${dev}/site/page`, 'dev is well\n');
  put(busybox(), `${dev}/busybox`);
  await on.well(
    'useradd --uid 1001 --create-home --home-dir /var/lib/owner --shell /bin/sh owner && loginctl enable-linger owner',
  );
  await on.well(`chown -R owner: ${dev}`);
  on.write(`${own}/app.service`, unit(`${dev}/busybox httpd -f -p 127.0.0.1:8081 -h ${dev}/site`, 'default.target'));
  on.write(`${own}/tidy.service`, task);
  on.write(`${own}/tidy.timer`, timer);
  on.write('/etc/systemd/system/watch.service', unit('/bin/sleep infinity', 'multi-user.target'));
  on.write('/etc/systemd/system/yearly.service', task);
  on.write('/etc/systemd/system/yearly.timer', timer);
  await on.well('chown -R owner: /var/lib/owner/.config');
  for (let n = 0; (await on.sh('systemctl --user --machine=owner@.host is-system-running')).exit !== 0 && n < 50; n++)
    await pause(200);
  for (const [systemctl, units] of [
    ['systemctl --user --machine=owner@.host', 'app.service tidy.timer'],
    ['systemctl', 'watch.service yearly.timer'],
  ])
    await on.well(`${systemctl} daemon-reload && ${systemctl} enable --now ${units}`);
}

const busybox = () => execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
const put = (file: string, to: string) =>
  void execFileSync('docker', ['cp', file, `${machineName}:${to}`], { stdio: 'pipe' });

/** What must be the same on both: files with owners and modes, rows, users, units, timers, crontabs, containers, secrets. */
export function factsOf(on: Machine): Promise<string> {
  const folders = 'control-plane data-plane gaia shared';
  // Databases are compared row by row; backups are elsewhere, and so is what a restore has put aside.
  const but = ['*/RESTORED.json', '*/shop.db*', '*/pgdata/*', 'shared/backups*', '*.pre-restore.*'];
  const some = but.map((path) => `! -path '${path}'`).join(' ');
  const states = (systemctl: string, units: string) =>
    `for unit in ${units}; do ${systemctl} show --property=Id,ActiveState,SubState,UnitFileState,NextElapseUSecRealtime "$unit"; done`;
  return on.well(
    [
      `set -e; cd ${home}`,
      `find ${folders} ${some} -printf '%p %y %m %U:%G %l\\n' | sort`,
      `find ${folders} ${some} -type f -exec sha256sum {} + | sort -k2`,
      "stat -c '%u:%g %a' data-plane/prod/shop.db data-plane/prod/pgdata",
      "sqlite3 data-plane/prod/shop.db 'SELECT count(*), sum(price) FROM item'",
      `echo 'SELECT * FROM credentials_entity; SELECT * FROM workflow_entity' | ${reaches.postgres.shell}`,
      'getent passwd owner; id owner; ls /var/lib/systemd/linger',
      "find /var/lib/owner -printf '%p %U:%G\\n' | grep -v '/\\.\\(bash\\|profile\\)' | sort",
      'cat /etc/systemd/system/watch.service /etc/systemd/system/yearly.* /var/lib/owner/.config/systemd/user/*.service /var/lib/owner/.config/systemd/user/*.timer',
      states('systemctl', 'watch.service yearly.service yearly.timer'),
      states('systemctl --user --machine=owner@.host', 'app.service tidy.service tidy.timer'),
      'crontab -u owner -l',
      "docker ps --format '{{.Names}} {{.Status}}' | cut -d' ' -f1,2 | sort",
    ].join('; '),
  );
}
