import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { leveredge, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const databaseOf = (home: string) => join(home, 'control-plane/event-bus/events.db');

type Doctor = { fine: boolean; findings: { check: string; state: string; says: string; todo?: string }[] };

async function doctor(home: string, args: string[] = [], env: Record<string, string> = {}) {
  const { exit, stdout, stderr } = await leveredge(['doctor', '--home', home, '--json', ...args], env);
  assert.notEqual(stdout, '', stderr);
  const report: Doctor = JSON.parse(stdout);
  assert.equal(exit, report.fine ? 0 : 1);
  return { report, of: (check: string) => report.findings.find((finding) => finding.check === check) };
}

describe('leveredge doctor', { concurrency: 2 }, () => {
  it('finds nothing wrong with a running bus', async (t) => {
    const home = temporaryFolder(t);
    const bus = await startBus(home);
    t.after(() => bus.stop());
    const { report, of } = await doctor(home);
    assert.deepEqual(
      report.findings.map(({ check, state }) => [check, state]),
      ['node', 'home', 'settings', 'database', 'bus', 'disk', 'clock'].map((check) => [check, 'fine']),
    );
    assert.match(of('bus')?.says ?? '', new RegExp(bus.url), 'found by what the bus wrote down, whatever its port');
  });

  it('says that the bus is not running, and how to start it', async (t) => {
    const home = temporaryFolder(t);
    await (await startBus(home)).stop();
    const before = readdirSync(dirname(databaseOf(home)));
    const { of } = await doctor(home, ['--port', '17']);
    assert.equal(of('bus')?.state, 'wrong');
    assert.match(of('bus')?.todo ?? '', /leveredge bus/);
    assert.equal(of('database')?.state, 'fine');
    assert.deepEqual(readdirSync(dirname(databaseOf(home))), before, 'looking leaves nothing behind');
  });

  it('says that a bus serves another home', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop());
    const { of } = await doctor(temporaryFolder(t), [], { LEVEREDGE_URL: bus.url });
    assert.match(of('bus')?.says ?? '', /serves another home/);
  });

  it('says who else may hold the port', async (t) => {
    const server = createServer((_, response) => response.end('hi')).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { of } = await doctor(temporaryFolder(t), ['--port', String(port)]);
    assert.match(of('bus')?.says ?? '', new RegExp(`another program listens on port ${port}`));
    assert.match(of('bus')?.todo ?? '', /ss -ltnp/);
  });

  it('names every mistake in the settings', async (t) => {
    const home = temporaryFolder(t);
    mkdirSync(join(home, 'config'));
    writeFileSync(join(home, 'config/leveredge.yaml'), 'bus:\n  port: many\n  hots: x\n');
    const { of } = await doctor(home, [], { LEVEREDGE_PORT: '99999' });
    assert.equal(of('settings')?.state, 'wrong');
    const lines = of('settings')?.says.split('\n') ?? [];
    assert.equal(lines.length, 5, 'one a line, and the file named once');
    for (const part of [/^LEVEREDGE_PORT: /, /^ {2}line 2: bus\.port: "many"/, /^ {2}line 3: bus\.hots /])
      assert.ok(
        lines.some((line) => part.test(line)),
        `${part}`,
      );
  });

  it('checks database and disk whatever is wrong with the settings', async (t) => {
    const home = temporaryFolder(t);
    await (await startBus(home)).stop();
    mkdirSync(join(home, 'config'));
    writeFileSync(join(home, 'config/leveredge.yaml'), 'bus: 17\n');
    const { of } = await doctor(home);
    assert.equal(of('settings')?.state, 'wrong');
    assert.match(of('settings')?.says ?? '', /leveredge\.yaml, line 1: bus: must have settings below it/);
    assert.equal(of('database')?.state, 'fine');
    assert.equal(of('disk')?.state, 'fine');
  });

  it('says that a home which is a file is none, and so does the bus', async (t) => {
    const file = join(temporaryFolder(t), 'file');
    writeFileSync(file, '');
    for (const [home, says] of [
      [file, /\/file \(--home\) can be no home: it is a file, and no folder$/],
      [join(file, 'below'), /\/below \(--home\) can be no home: .*\/file is a file, and no folder$/],
    ] as const) {
      const { report, of } = await doctor(home, ['--port', '17']);
      assert.match(of('home')?.says ?? '', says);
      assert.equal(of('home')?.todo, 'Choose another home with --home or LEVEREDGE_HOME.');
      assert.deepEqual(
        report.findings.map(({ check }) => check),
        ['node', 'home', 'bus', 'clock'],
        'what needs the home is left out',
      );
      assert.equal(of('bus')?.todo, 'Start it on another home.');
      const { exit, stderr } = await leveredge(['bus', '--home', home, '--port', '0']);
      assert.equal(exit, 2);
      assert.match(stderr, /can be no home: .* is a file, and no folder\.\n {2}Choose another home with --home/);
    }
  });

  it('finds settings that cannot be read, and the bus refuses them', async (t) => {
    const home = temporaryFolder(t);
    mkdirSync(join(home, 'config/leveredge.yaml'), { recursive: true });
    const { of } = await doctor(home);
    assert.equal(of('settings')?.state, 'wrong');
    assert.match(of('settings')?.says ?? '', /leveredge\.yaml cannot be read: it is a folder\.$/);
    assert.match(of('settings')?.todo ?? '', /Put a file in its place/);
    const { exit, stderr } = await leveredge(['bus', '--home', home, '--port', '0']);
    assert.equal(exit, 2);
    assert.match(stderr, /^leveredge: The settings in .* cannot be read: it is a folder\.\n {2}Put a file/);
  });

  it('shows no password of a URL', async (t) => {
    const { exit, stdout, stderr } = await leveredge([
      ...['doctor', '--home', temporaryFolder(t)],
      ...['--url', 'http://user:geheim@127.0.0.1:9'],
    ]);
    assert.equal(exit, 2);
    assert.match(stderr, /takes no user name and no password/);
    assert.doesNotMatch(stdout + stderr, /geheim/);
  });

  it('tells a damaged database, one of the future and one of the first implementation apart', async (t) => {
    const damaged = temporaryFolder(t);
    mkdirSync(dirname(databaseOf(damaged)), { recursive: true });
    writeFileSync(databaseOf(damaged), 'x'.repeat(10_000));
    assert.match((await doctor(damaged)).of('database')?.says ?? '', /is damaged/);

    const newer = temporaryFolder(t);
    mkdirSync(dirname(databaseOf(newer)), { recursive: true });
    const db = new DatabaseSync(databaseOf(newer));
    db.exec('CREATE TABLE t (x); PRAGMA user_version = 9999');
    db.close();
    assert.match((await doctor(newer)).of('database')?.says ?? '', /has schema 9999, and this program knows/);

    const first = temporaryFolder(t);
    mkdirSync(dirname(databaseOf(first)), { recursive: true });
    const old = new DatabaseSync(databaseOf(first));
    old.exec("CREATE TABLE events (id TEXT PRIMARY KEY); INSERT INTO events VALUES ('a')");
    old.close();
    const finding = (await doctor(first)).of('database');
    assert.equal(finding?.state, 'note');
    assert.match(finding?.says ?? '', /first implementation \(1 events\)/);
  });

  it('sees a home that cannot be written', {
    skip: process.getuid?.() === 0 && 'root may write everywhere',
  }, async (t) => {
    const home = temporaryFolder(t);
    chmodSync(home, 0o500);
    t.after(() => chmodSync(home, 0o700));
    const { of } = await doctor(home);
    assert.match(of('home')?.says ?? '', /is not writable/);
  });
});
