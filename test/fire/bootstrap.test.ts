import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { N8nKey } from '../../src/recovery/source/n8n-key.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { commandsOf, wordOf } from './emergency-page.fixtures.ts';
import { type Machine, machineName, noMachine, startMachine } from './machine.fixtures.ts';
import { makeMirror, mirrorSource } from './mirror.fixtures.ts';
import { noServer } from './postgres.fixtures.ts';
import { phasesTable } from './rebuild-phases.fixtures.ts';
import { noRepositoryServer, repositoryAddress, serveRepository } from './repository-server.fixtures.ts';
import { factsOf, fillMachine, home, packages, reaches, useRepository } from './whole-machine.fixtures.ts';
import { requireKept, startWriter, type Writer } from './writers.fixtures.ts';

const missing = noMachine() ?? noServer() ?? noRepositoryServer();
if (missing !== undefined)
  console.log(`NOT RUN: the fire drill needs a machine in a container, PostgreSQL and restic: ${missing}`);

const script = join(import.meta.dirname, '../../deploy/scripts/bootstrap.sh');
/** A rebuild installs Docker, builds images and fills databases. */
const rebuildMs = 600_000;
const question = 'to go on: ';
const archiveEnd = /\.(tar\.zst(\.age)?|restic)$/;

/** What was taken off the machine before it was lost, and what is known of it. */
type Carried = {
  /** The folder of backups, and a stick with the kit and bootstrap.sh. */
  backups: string;
  stick: string;
  facts: string;
  /** The name of prod's archive, and when it was begun. */
  prod: string;
  begunMs: number;
  n8nKeys: readonly N8nKey[];
  bytes: number;
  /** The backups lie in a repository elsewhere, and what stands for them was lost with the machine. */
  isFar: boolean;
};

describe('the fire drill', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fire-drill-'));
  const dist = join(folder, 'dist');
  const volumes = [`${join(folder, 'mirror')}:/mirror:ro`, '/var/lib/docker'];
  const writers: { postgres?: Writer; sqlite?: Writer } = {};
  let engine: Engine;
  let machine: Machine | undefined;
  let plain: Carried;
  let sealed: Carried;
  let far: Carried;
  /** What bootstrap.sh said in the first rebuild. */
  let advice = '';

  before(async () => {
    engine = await startEngine();
    execFileSync(process.execPath, [join(import.meta.dirname, '../../tools/build.ts'), dist], { stdio: 'pipe' });
    makeMirror(join(folder, 'mirror'), packages);
    const old = await startMachine(dist, { volumes });
    await fillMachine(old);
    writers.postgres = startWriter(reaches.postgres);
    writers.sqlite = startWriter(reaches.sqlite);
    plain = await carryOff(old, 'plain', '');
    await old.well('mkdir /var/key && gaia key new /var/key/recovery-key.txt');
    sealed = await carryOff(old, 'sealed', '--identity /var/key/recovery-key.txt');
    const server = await serveRepository(join(folder, 'repository'));
    await useRepository(old, repositoryAddress);
    far = await carryOff(old, 'far', '--identity /var/key/recovery-key.txt');
    await server.end();
    await writers.postgres.end();
    await writers.sqlite.end();
    old.destroy();
  });
  after(async () => {
    await engine?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Makes backups and the kit beside the writers, and takes both off the machine, as a person would with two disks. */
  async function carryOff(from: Machine, name: string, words: string): Promise<Carried> {
    await from.well(`rm -rf ${home}/shared/backups && gaia kit ${words} --out /var/${name}`);
    const made = await from.gaia('backup full');
    assert.equal(made.exit, 0, made.stdout + made.stderr);
    const endedMs = Date.now();
    const facts = await factsOf(from);
    const [backups, stick] = [join(folder, name, 'backups'), join(folder, name, 'stick')];
    mkdirSync(join(folder, name));
    execFileSync('docker', ['cp', `${machineName}:${home}/shared/backups`, backups]);
    execFileSync('docker', ['cp', `${machineName}:/var/${name}`, stick]);
    cpSync(script, join(stick, 'bootstrap.sh'));
    // What the machine itself knows of its backups stays behind.
    rmSync(join(backups, '.gaia'), { recursive: true, force: true });
    const prod = readdirSync(join(backups, 'prod')).find((each) => archiveEnd.test(each)) as string;
    const manifestFile = join(backups, 'prod', prod.replace(archiveEnd, '.manifest.json'));
    const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as { created_at: string; n8n_keys: N8nKey[] };
    assert.equal(manifest.n8n_keys.length, 1);
    const begunMs = Date.parse(manifest.created_at);
    for (const writer of [writers.postgres, writers.sqlite] as Writer[]) {
      assert.ok(writer.acknowledgedBy(begunMs) > 0, 'nothing was written before the backup');
      assert.ok(
        writer.acknowledgedBy(endedMs) > writer.acknowledgedBy(begunMs),
        'nothing was written beside the backup',
      );
    }
    const bytes = Number(execFileSync('du', ['-sb', backups], { encoding: 'utf8' }).split('\t')[0]);
    return { backups, stick, facts, prod, begunMs, n8nKeys: manifest.n8n_keys, bytes, isFar: prod.endsWith('.restic') };
  }

  /** A machine that has nothing but Debian, the mirror of its packages, and the two disks. */
  async function bare({ backups, stick, isFar }: Carried): Promise<Machine> {
    machine?.destroy();
    chmodSync(join(backups, '..'), 0o755);
    const disks = [...(isFar ? [] : [`${backups}:/mnt/backups:ro`]), `${stick}:/media/usb:ro`];
    machine = await startMachine(dist, { bare: true, volumes: [...volumes, ...disks] });
    machine.write('/etc/apt/sources.list', mirrorSource);
    assert.notEqual((await machine.sh('command -v gaia || command -v docker || command -v zstd')).exit, 0);
    return machine;
  }

  /** All is as it was, but for what the words name, which is not there. */
  async function requireAsBefore(here: Machine, { facts, begunMs }: Carried, gone?: RegExp): Promise<string> {
    await here.well('DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sqlite3');
    const kept = facts.split('\n').filter((line) => gone?.test(line) !== true);
    assert.equal(await factsOf(here), kept.join('\n'));
    return requireData(here, begunMs);
  }

  async function requireData(here: Machine, begunMs: number): Promise<string> {
    const postgres = await requireKept(here, reaches.postgres, writers.postgres as Writer, begunMs);
    const sqlite = await requireKept(here, reaches.sqlite, writers.sqlite as Writer, begunMs);
    return `${postgres} transactions in PostgreSQL and ${sqlite} in SQLite are there; nothing that was acknowledged is missing`;
  }

  it('rebuilds a machine that was lost, word for word as the page for the worst day says', async (t) => {
    const gone = 'The machine is gone';
    const [look = '', rebuild = ''] = commandsOf(gone);
    const here = await bare(plain);
    const dry = await here.terminal(look, { folder: '/media/usb' });
    assert.equal(dry.exit, 0, dry.text);
    assert.match(dry.text, /to install: zstd/);
    assert.equal(
      (await here.sh(`ls ${home} /usr/local/bin`)).stdout.trim(),
      '/usr/local/bin:',
      'a dry run made something',
    );
    const beganMs = performance.now();
    const answers = [[question, wordOf(gone, 'asks once')]] as const;
    const rebuilt = await here.terminal(rebuild, { folder: '/media/usb', answers });
    assert.equal(rebuilt.exit, 0, rebuilt.text);
    advice = rebuilt.text;
    assert.equal(rebuilt.text.split(question).length, 2, 'it asked more than once');
    const table = phasesTable(rebuilt.lines, beganMs, performance.now());
    // Secrets are in no backup that everybody can read.
    t.diagnostic(await requireAsBefore(here, plain, /shared\/credentials|\.signing_key/));
    t.diagnostic(`${(plain.bytes / 1024 / 1024).toFixed(0)} MiB of backups, not encrypted`);
    for (const line of table) t.diagnostic(line);
  });

  it('gives back one target of the rebuilt machine, with the sections of that page in their order', async (t) => {
    const here = machine as Machine;
    for (const title of ['1. What is there?', '2. Is it whole?', '3. What would happen?'])
      for (const command of commandsOf(title)) {
        const ended = await here.terminal(command);
        assert.equal(ended.exit, 0, `${command}: ${ended.text}`);
      }
    const onlyDatabases = () => here.well('gaia plan prod --only db');
    assert.doesNotMatch(await onlyDatabases(), /encryption key/);
    await here.well(`cd ${home}/data-plane/prod && rm -r site/page n8n/data && sqlite3 shop.db 'DROP TABLE kept'`);
    await here.well(`echo 'DROP TABLE kept; DROP TABLE credentials_entity' | ${reaches.postgres.shell}`);
    assert.match(await onlyDatabases(), /encryption key in prod\/n8n\/data\/config is not here/);
    const [restore = ''] = commandsOf('4. Restore');
    const restored = await here.terminal(restore, { answers: [[question, wordOf('4. Restore', 'Type')]] });
    assert.equal(restored.exit, 0, restored.text);
    t.diagnostic(await requireAsBefore(here, plain, /shared\/credentials|\.signing_key/));
  });

  it('backs up again where the key that signs is lost, as bootstrap.sh says in the end', async () => {
    const here = machine as Machine;
    const refused = await here.gaia('backup full');
    assert.equal(refused.exit, 6, refused.stdout + refused.stderr);
    const [move = ''] = /mv \S+\/signing\.pub \S+$/m.exec(advice) ?? [];
    await here.well(move);
    const made = await here.gaia('backup full');
    assert.equal(made.exit, 0, made.stdout + made.stderr);
    // The old backups belong to the old key, and to nobody with the new one.
    const verified = () => here.gaia(`verify ${plain.prod}`);
    assert.equal((await verified()).exit, 7);
    await here.well(`cd ${home}/gaia && cp signing.pub new && cp signing.pub.before signing.pub`);
    assert.equal((await verified()).exit, 0);
    await here.well(`cd ${home}/gaia && mv new signing.pub`);
  });

  it('opens an archive without GAIA, with the commands of that page', async () => {
    const here = machine as Machine;
    const said: string[] = [];
    for (const command of commandsOf('Without GAIA'))
      said.push(await here.well(`cd /mnt/backups/prod; ${command.replace('prod-….tar.zst', plain.prod)}`));
    assert.match(said.join('\n'), /This is a backup of prod/);
    const there = '/var/tmp/restore';
    assert.equal(await here.well(`cat ${there}/files/prod/site/page`), 'prod is well');
    assert.equal(await here.well(`stat -c %u:%a ${there}/files/prod/n8n/data/config`), '1000:600');
    assert.equal(await here.well(`sqlite3 ${there}/sqlite/shop.db 'PRAGMA integrity_check'`), 'ok');
    assert.match(
      await here.well(`docker exec -i prod_db_1 pg_restore --list <${there}/db/app.dump`),
      /TABLE DATA public kept/,
    );
    assert.match(await here.well(`cat ${there}/recipe/target.json`), new RegExp(`${home}/data-plane/prod`));
  });

  it('rebuilds it from encrypted backups and nothing but the kit, killed in the middle twice and started again', async (t) => {
    const here = await bare(sealed);
    const words = 'sh /media/usb/bootstrap.sh --backups /mnt/backups';
    const without = await here.sh(`${words} --dry-run`);
    assert.equal(without.exit, 3, without.stdout + without.stderr);
    const kit = '--kit /media/usb/recovery-kit.txt';
    const unasked = await here.sh(`${words} ${kit}`, rebuildMs);
    assert.equal(unasked.exit, 2, unasked.stdout + unasked.stderr);
    const go = `${words} ${kit} --yes`;
    assert.match(await killedOnce(here, go, `${home}/data-plane/.gaia-stage-*`), /control-plane: restored/);
    // And again, while it fills the new server.
    await killedOnce(here, go, `${home}/data-plane/prod/pgdata/PG_VERSION`);
    const beganMs = performance.now();
    const done = await here.sh(go, rebuildMs);
    assert.equal(done.exit, 0, done.stdout + done.stderr);
    t.diagnostic(`the third start took ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
    t.diagnostic(await requireAsBefore(here, sealed));
    const again = await here.sh(go, rebuildMs);
    assert.equal(again.exit, 0, again.stdout + again.stderr);
    assert.match(again.stdout, /prod: restored already/);
    await requireKeyOpens(here);
    const next = await here.gaia('backup full');
    assert.equal(next.exit, 0, next.stdout + next.stderr);
    assert.doesNotMatch(next.stderr, /conflict|does not belong/);
    const newest = await here.well(`ls ${home}/shared/backups/prod/*.manifest.json | tail -1`);
    const manifest = JSON.parse(await here.well(`cat ${newest}`)) as { created_at: string; n8n_keys: N8nKey[] };
    assert.ok(Date.parse(manifest.created_at) > sealed.begunMs);
    assert.deepEqual(manifest.n8n_keys, sealed.n8nKeys);
  });

  /** Starts a rebuild and kills it with everything below it, as soon as something is there. What it had said. */
  async function killedOnce(here: Machine, words: string, there: string): Promise<string> {
    here.write('/tmp/go', `${words} >/tmp/out 2>&1\n`);
    await here.well('systemd-run --quiet --collect --unit=rebuild sh /tmp/go');
    const isTime = `ls -d ${there} || ! systemctl is-active --quiet rebuild`;
    for (let n = 0; (await here.sh(isTime)).exit !== 0 && n < 1200; n++) await pause(50);
    // A restore runs apart from what started it, and Node gives its threads other names than the program's.
    await here.sh(
      'systemctl kill --signal=KILL rebuild.service; for each in /proc/[0-9]*; do [ "$(readlink $each/exe)" != /usr/local/bin/gaia ] || kill -9 $(basename $each); done',
    );
    const said = await here.well('cat /tmp/out');
    const status = await here.gaia('status');
    assert.equal(status.exit, 9, `it was not killed in the middle of a restore: ${said}${status.stdout}`);
    assert.doesNotMatch(said, /dev: restored|bootstrap\.sh:/);
    return said;
  }

  /** What the page says of encrypted backups, with the file that it names. */
  async function requireKeyOpens(here: Machine): Promise<void> {
    const [, byHand = ''] = /encrypted: (age .+ FILE .+ \|) …/.exec(commandsOf('Without GAIA').join('\n')) ?? [];
    const archive = `${home}/shared/backups/prod/${sealed.prod}`;
    const text = await here.well(`cd /media/usb; ${byHand.replace('FILE', archive)} tar -xOf - RESTORE.txt`);
    assert.match(text, /This is a backup of prod/);
    for (const words of ['verify latest', 'plan prod']) {
      const ended = await here.sh(`cd /media/usb; gaia ${words} --identity recovery-kit.txt`);
      assert.equal(ended.exit, 0, ended.stdout + ended.stderr);
    }
  }

  it('rebuilds it from a repository of restic, over REST, and nothing but the kit', async (t) => {
    const here = await bare(far);
    const server = await serveRepository(join(folder, 'repository'));
    try {
      const words = 'sh bootstrap.sh --repository --kit recovery-kit.txt';
      const beganMs = performance.now();
      const rebuilt = await here.terminal(words, { folder: '/media/usb', answers: [[question, 'REBUILD']] });
      assert.equal(rebuilt.exit, 0, rebuilt.text);
      const table = phasesTable(rebuilt.lines, beganMs, performance.now());
      assert.doesNotMatch(rebuilt.text, /Secrets are in no backup/);
      t.diagnostic(await requireAsBefore(here, far));
      for (const line of table) t.diagnostic(line);
      assert.match(await here.well('gaia list'), new RegExp(far.prod));
      const next = await here.gaia('backup full');
      assert.equal(next.exit, 0, next.stdout + next.stderr);
      assert.equal((await here.gaia('verify latest')).exit, 0);
    } finally {
      await server.end();
    }
  });

  it('takes the configuration out of the newest backup where there is no kit', async () => {
    const here = await bare(plain);
    const words = 'sh /media/usb/bootstrap.sh --backups /mnt/backups --only control-plane';
    const runs = `gaia status --json --quiet | grep -o '"created_at":"[^"]*"'`;
    const done = await here.sh(`${words} --yes`, rebuildMs);
    assert.equal(done.exit, 0, done.stdout + done.stderr);
    assert.match(done.stdout, /Nobody here knows the key that these backups are signed with/);
    assert.equal(await here.well(`cat ${home}/control-plane/notes`), 'what only the control plane knows');
    assert.match(await here.well('gaia list'), /prod-/);
    assert.equal((await here.sh(`ls ${home}/data-plane`)).exit, 2, 'more than control-plane was restored');
    // As if it had been begun in the very second in which the restore began.
    const [second = ''] = /T[0-9:]+(?=\.)/.exec(await here.well(runs)) ?? [];
    await here.well(`sed -i 's/T[0-9:]*/${second}/' /var/lib/gaia-bootstrap`);
    const again = await here.sh(`${words} --yes`, rebuildMs);
    assert.equal(again.exit, 0, again.stdout + again.stderr);
    assert.match(again.stdout, /control-plane: restored already/);
  });
});
