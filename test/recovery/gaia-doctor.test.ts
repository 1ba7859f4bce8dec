import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { folder, gaiaLauncher, makeStand, run, type Stand } from './gaia.fixtures.ts';
import { leaveInterrupted } from './gaia-interrupted.fixtures.ts';

type Finding = { what: string; level: string; says: string; todo?: string };

async function wrongOf(stand: Stand): Promise<string[]> {
  const { exit, stdout } = await stand.gaia('doctor', '--json');
  const { well, findings } = JSON.parse(stdout) as { well: boolean; findings: Finding[] };
  assert.equal(exit, well ? 0 : 1);
  for (const { level, todo, what } of findings)
    if (level === 'WRONG') assert.ok(todo, `${what} says not how to mend it`);
  return findings.filter(({ level }) => level === 'WRONG').map(({ what, says }) => `${what}: ${says}`);
}

describe('gaia doctor', { timeout: 60_000 }, () => {
  it('finds a good day, and changes nothing', async (t) => {
    const stand = makeStand(t);
    assert.deepEqual(await wrongOf(stand), ['dev: there is no sound backup']);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const before = (await run('find', [stand.home, '-printf', '%p %T@ %s\n'])).stdout;
    assert.deepEqual(await wrongOf(stand), []);
    assert.equal((await run('find', [stand.home, '-printf', '%p %T@ %s\n'])).stdout, before);
  });

  it('says where the configuration should be, and what is wrong in it', async (t) => {
    const empty = folder(t);
    const none = await run(process.execPath, [gaiaLauncher, 'doctor'], { LEVEREDGE_HOME: empty });
    assert.equal(none.exit, 1);
    assert.match(none.stdout, /WRONG {2}config +There is no configuration/);
    const stand = makeStand(t);
    writeFileSync(stand.config, 'restore_targets: { data-plane: { dev: { root: 7 } } }\n');
    assert.match((await wrongOf(stand)).join('\n'), /^config: /);
  });

  it('finds a missing folder, an old backup, keys that others can read, and an interrupted run', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    chmodSync(join(stand.home, 'gaia', '.signing_key'), 0o644);
    leaveInterrupted(stand);
    rmSync(stand.root, { recursive: true });
    const wrong = await wrongOf(stand);
    assert.equal(wrong.length, 3, wrong.join('\n'));
    assert.match(wrong[0] as string, /^keys: .*can be read by other users/);
    assert.match(wrong[1] as string, /^dev: there is no folder/);
    assert.match(wrong[2] as string, /^runs: the restore of dev .* was interrupted/);
  });

  it('reports a damaged journal as a finding', async (t) => {
    const stand = makeStand(t);
    const { journal } = leaveInterrupted(stand);
    writeFileSync(journal, readFileSync(journal, 'utf8').replace('"lock"', '"lick"'));
    assert.match((await wrongOf(stand)).at(-1) as string, /^runs: Line 1 of the journal/);
  });

  it('names what was left lying about, but not the stage of a run that can go on', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const { id } = leaveInterrupted(stand);
    const beside = join(stand.root, '..');
    for (const name of ['.gaia-stage-20250101T000000Z-000abcdef', `.gaia-stage-${id}`, 'dev.gaia-intruder-x'])
      mkdirSync(join(beside, name));
    writeFileSync(join(stand.backups, 'dev', '.dev-2025-01-01-000000.tar.zst.partial'), 'half');
    const { stdout } = await stand.gaia('doctor');
    assert.match(stdout, /1 unfinished files of a backup that was ended/);
    assert.match(stdout, /\.gaia-stage-20250101T000000Z-000abcdef is of a restore that is over/);
    assert.match(stdout, /dev\.gaia-intruder-x was made by somebody/);
    assert.doesNotMatch(stdout, new RegExp(`\\.gaia-stage-${id}`));
    assert.match(stdout, /on the same file system as dev/);
  });
});

describe('gaia health', { timeout: 60_000 }, () => {
  it('asks folders, databases and endpoints, and exits 1 for any that is not well', async (t) => {
    let status = 200;
    const server = createServer((_request, response) => response.writeHead(status).end()).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const stand = makeStand(t);
    const endpoints = `health_check: { endpoints: [ { name: n8n, url: "http://127.0.0.1:${port}/healthz" } ] }\n`;
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}${endpoints}`);
    const well = (await stand.json(0, 'health')) as { healthy: boolean; findings: { says: string }[] };
    assert.equal(well.healthy, true);
    assert.deepEqual(
      well.findings.map(({ says }) => says),
      ['is there', 'passes SQLite’s check', 'answers 200'],
    );
    status = 503;
    assert.match((await stand.gaia('health')).stdout, /WRONG\tn8n: \S+\tanswers 503/);
    server.close();
    server.closeAllConnections();
    const dead = await stand.gaia('health');
    assert.equal(dead.exit, 1);
    assert.match(dead.stdout, /does not answer \(ECONNREFUSED\)/);
    const bytes = readFileSync(stand.database);
    bytes.fill(0xff, 100, bytes.length);
    writeFileSync(stand.database, bytes);
    const damaged = (await stand.json(1, 'health')) as { findings: { healthy: boolean }[] };
    assert.deepEqual(
      damaged.findings.map(({ healthy }) => healthy),
      [true, false, false],
    );
    rmSync(stand.root, { recursive: true });
    const gone = (await stand.json(1, 'health')) as { findings: { says: string }[] };
    assert.deepEqual(gone.findings.map(({ says }) => says).slice(0, 2), [
      'there is no such folder',
      'there is no such file',
    ]);
  });
});
