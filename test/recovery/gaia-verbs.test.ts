import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gaiaLauncher, makeStand, run, type Stand } from './gaia.fixtures.ts';

const home = mkdtempSync(join(tmpdir(), 'gaia-verbs-'));
let stand: Stand;
let name: string;
after(() => rmSync(home, { recursive: true }));

type Shape = Record<string, unknown>;

/** One document on one line, and which members it has. */
async function shapeOf(exit: number, ...words: string[]): Promise<{ json: Shape; members: string[] }> {
  const ended = await stand.gaia(...words, '--json');
  assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stdout}${ended.stderr}`);
  assert.match(ended.stdout, /^\{.*\}\n$/);
  for (const line of ended.stderr.split('\n').filter((each) => each !== '')) JSON.parse(line);
  const json = JSON.parse(ended.stdout) as Shape;
  return { json, members: Object.keys(json).sort() };
}

describe('each command through the program', { timeout: 60_000 }, () => {
  before(async () => {
    stand = makeStand({ after: () => undefined }, { home });
    const { json, members } = await shapeOf(0, 'backup', 'dev');
    name = json.name as string;
    assert.match(name, /^dev-\d{4}-\d\d-\d\d-\d{6}\.tar\.zst$/);
    const wanted =
      'bytes content_bytes databases degraded files name notes path results seconds set sha256 state target';
    assert.deepEqual(members, wanted.split(' '));
    assert.equal(json.state, 'sound');
    assert.ok(existsSync(json.path as string));
  });

  it('list: newest first, with what each is', async () => {
    const { json } = await shapeOf(0, 'list');
    const [backup] = json.backups as Shape[];
    assert.deepEqual(
      Object.keys(backup as Shape).sort(),
      'bucket bytes contents created_at drilled_at files name path pinned reason set state target verified_at why_made'.split(
        ' ',
      ),
    );
    assert.equal(backup?.name, name);
    const { exit, stdout } = await stand.gaia('list', '--target', 'dev');
    assert.equal(exit, 0);
    const cells = stdout.split('\t');
    assert.deepEqual([cells.length, cells[0], cells[4]], [5, name, 'sound\n']);
  });

  it('verify: by name, by its beginning, by path, and the newest', async () => {
    const file = join(stand.backups, 'dev', name);
    for (const wanted of [name, name.slice(0, 9), file, 'latest', name.replace('.tar.zst', '')]) {
      const { json } = await shapeOf(0, 'verify', wanted);
      assert.deepEqual([json.state, json.name, json.member], ['sound', name, null], wanted);
    }
    assert.match((await stand.gaia('verify', 'latest', '--target', 'dev', '--deep')).stdout, / sound: \d+ files/);
    const { json } = await shapeOf(0, 'list');
    assert.match((json.backups as Shape[])[0]?.verified_at as string, /^\d{4}-.*Z$/);
  });

  it('what is not there: exit 5, and what was meant', async () => {
    const cases: [words: string[], says: RegExp][] = [
      [['verify', 'nothing'], /No backup is called nothing/],
      [['verify', name.replace(/\d\.tar/, 'x.tar')], new RegExp(`Did you mean ${name}`)],
      [['verify', '/no/such/dev-2026-01-01-000000.tar.zst'], /There is no backup at/],
      [['list', '--target', 'de'], /There is no target de .*\n {2}Did you mean dev/],
      [['plan', 'prod'], /There is no target prod .*\n {2}There are: dev/],
      [['restore', 'dev', '--backup', 'nothing', '--yes'], /No backup is called nothing/],
      [['backup', 'prod'], /There is no target prod/],
      [['undo', 'dev', '--yes'], /Nothing was restored to dev/],
      [['resume'], /No restore was interrupted/],
      [['pin', 'nothing'], /No backup is called nothing/],
      [['runbook', 'nothing'], /No backup is called nothing/],
      [['runbook', '--target', 'prod'], /There is no target prod/],
    ];
    for (const [words, says] of cases) {
      const { exit, stdout, stderr } = await stand.gaia(...words);
      assert.equal(exit, 5, `${words.join(' ')}: ${stderr}`);
      assert.equal(stdout, '');
      assert.match(stderr, says);
    }
  });

  it('plan: what it would do, and nothing of it done', async () => {
    const { json } = await shapeOf(0, 'plan', 'dev');
    assert.match(json.hash as string, /^[0-9a-f]{16,}$/);
    assert.deepEqual(json.replaces, [stand.root]);
    assert.deepEqual(json.refusals, []);
    assert.equal((await shapeOf(0, 'plan', 'dev')).json.hash, json.hash, 'twice the same');
    assert.notEqual((await shapeOf(0, 'plan', 'dev', '--only', 'notes')).json.hash, json.hash);
    assert.equal((await stand.gaia('plan', 'dev', '--only', 'no/such/path')).exit, 5);
  });

  it('pin and unpin: kept beside the archive, shown in the list', async () => {
    assert.deepEqual((await shapeOf(0, 'pin', name)).json, { name, pinned: true });
    assert.ok(existsSync(join(stand.backups, 'dev', `${name}.pinned`)));
    assert.match((await stand.gaia('list')).stdout, /\tsound, pinned\n/);
    assert.match((await stand.gaia('prune', '--dry-run')).stdout, /\tstays\t.*pinned/);
    assert.deepEqual((await shapeOf(0, 'unpin', name)).json, { name, pinned: false });
    assert.doesNotMatch((await stand.gaia('list')).stdout, /pinned/);
  });

  it('prune --dry-run: a reason for each, and nothing changed', async () => {
    const { json, members } = await shapeOf(0, 'prune', '--dry-run');
    assert.deepEqual(members, ['aside', 'clock_doubt', 'decisions']);
    const [decision] = json.decisions as Shape[];
    assert.deepEqual([decision?.name, decision?.keep], [name, true]);
    assert.match(String(decision?.reasons), /the newest/);
  });

  it('restore, status and undo: what was done, by which run, and where the old state is', async () => {
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const { json, members } = await shapeOf(9, 'restore', 'dev', '--only', 'notes', '--yes');
    assert.deepEqual(members, ['aside', 'exit', 'health', 'outcome', 'run', 'says']);
    assert.deepEqual([json.outcome, json.exit, json.health], ['committed', 9, 'unproven']);
    const [aside] = json.aside as string[];
    assert.equal(readFileSync(aside as string, 'utf8'), 'changed\n');
    const status = await shapeOf(0, 'status');
    assert.deepEqual(status.members, ['aside', 'bus', 'holder', 'interrupted', 'runs']);
    const [run] = status.json.runs as Shape[];
    assert.deepEqual([run?.id, run?.state, run?.only], [json.run, 'ended', 'notes']);
    assert.equal((await shapeOf(9, 'undo', 'dev', '--yes')).json.outcome, 'committed');
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
  });

  it('runbook: a script for sh, also within JSON', async () => {
    const { stdout, stderr } = await stand.gaia('runbook', 'latest');
    assert.equal(stderr, '');
    assert.match(stdout, /^#!\/bin\/sh\n/);
    assert.equal((await run('sh', ['-n', '-c', stdout])).exit, 0);
    assert.deepEqual((await shapeOf(0, 'runbook')).json, { name, script: stdout });
  });

  it('finds the configuration by GAIA_CONFIG, and in the home', async () => {
    const listed = (env: Record<string, string>, ...words: string[]) =>
      run(process.execPath, [gaiaLauncher, 'list', ...words], env);
    assert.ok((await listed({ LEVEREDGE_HOME: home })).stdout.startsWith(name));
    assert.ok((await listed({ LEVEREDGE_HOME: '/no/home', GAIA_CONFIG: stand.config })).stdout.startsWith(name));
    assert.equal((await listed({ LEVEREDGE_HOME: home, GAIA_CONFIG: '/no/such.yaml' })).exit, 5);
    const flag = await listed({ LEVEREDGE_HOME: home, GAIA_CONFIG: '/no/such.yaml' }, '--config', stand.config);
    assert.ok(flag.stdout.startsWith(name), 'the flag comes before the environment');
  });

  it('says nothing but results with --quiet', async () => {
    assert.deepEqual(await stand.gaia('prune', '--dry-run', '--quiet').then(({ exit, stderr }) => [exit, stderr]), [
      0,
      '',
    ]);
  });

  it('says why a restore was refused, also with --quiet', async () => {
    const reader = createReadStream(join(stand.root, 'notes'), { flags: 'r+' });
    await once(reader, 'open');
    const { exit, stdout, stderr } = await stand.gaia('restore', 'dev', '--yes', '--quiet');
    reader.destroy();
    assert.equal(exit, 6);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`^gaia: .*${process.pid}`));
  });

  it('a damaged backup: exit 7, by verify and by restore, with nothing touched', async () => {
    const file = join(stand.backups, 'dev', name);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 0x10;
    writeFileSync(file, bytes);
    const { json } = await shapeOf(7, 'verify', name);
    assert.equal(json.state, 'damaged');
    assert.equal(typeof json.says, 'string');
    const { exit, stderr } = await stand.gaia('restore', 'dev', '--backup', file, '--yes', '--quiet');
    assert.equal(exit, 7, stderr);
    assert.match(stderr, /^gaia: [\s\S]*Nothing was changed\./);
    assert.match((await stand.gaia('list')).stdout, /\tdamaged: /);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    assert.deepEqual(
      readdirSync(join(stand.root, '..')).filter((each) => each.startsWith('.gaia-stage')),
      [],
    );
    const latest = await stand.gaia('verify', 'latest');
    assert.equal(latest.exit, 5);
    assert.match(latest.stderr, new RegExp(`newest, ${basename(file)}, is damaged`));
  });
});
