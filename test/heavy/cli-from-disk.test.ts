import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { makeClient } from '../../src/client/client.ts';
import type { WireDelivery } from '../../src/events/delivery.ts';
import { type Ended, inProcess, leveredge, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const databaseOf = (home: string) => join(home, 'control-plane/event-bus/events.db');

/** A port on which nothing listens, so that no other bus of this machine answers. */
const silent = { LEVEREDGE_PORT: '9' };
const onDisk = (home: string, ...args: string[]) => leveredge([...args, '--home', home], silent);

const reading = [
  ['events'],
  ['events', '--source', 'ME', '--limit', '1'],
  ['events', '--status', 'pending', '--action', 'deploy_started'],
  ['events', 'the-first'],
  ['events', 'the-f'],
  ['pending'],
  ['inbox', 'AEGIS'],
  ['inbox', 'AEGIS', '--unacknowledged'],
  ['dead-letters'],
  ['dead-letters', 'list', '--agent', 'AEGIS', '--limit', '1'],
  ['subscriptions'],
  ['subscriptions', 'list', '--agent', 'HERMES', '--deleted'],
  ['explain', 'workflow_modified', '--question'],
];

/** Every file of the database's folder with its content, but for SQLite's index of the log. */
function contents(home: string): Record<string, string> {
  const folder = dirname(databaseOf(home));
  const names = readdirSync(folder).filter((name) => !name.endsWith('-shm'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'latin1')]));
}

describe('the command line without a bus', { concurrency: 2 }, () => {
  /** A home as kill -9 leaves it, and one whose bus stopped cleanly, with what the bus had answered. */
  const killed = temporaryFolder({ after });
  const stopped = temporaryFolder({ after });
  const answered: string[] = [];
  before(async () => {
    const bus = await startBus(killed);
    const client = makeClient({ url: bus.url });
    await client.publish({ source_agent: 'ME', action: 'deploy_started', id: 'the-first' });
    await client.publish({ source_agent: 'ME', action: 'credential_expired', details: { text: 'Grüße' } });
    await client.addSubscription({ agent_name: 'AEGIS', action_pattern: 'may_*', mode: 'queue' });
    for (const action of ['may_fail', 'may_fail_too']) {
      await client.publish({ source_agent: 'ME', action, details: { text: 'Grüße' } });
      const [held] = (await client.claim('AEGIS')).deliveries as [WireDelivery];
      await client.nackDelivery({ ...held, agent: 'AEGIS' }, { dead: true });
    }
    const question = { source_agent: 'ME', action: 'may_i', requires_human: true, human_question: 'May I?' };
    await client.publish({ ...question, human_timeout_minutes: 60 });
    const here = inProcess(bus.url);
    for (const args of reading) answered.push((await here(...args, '--json')).stdout);
    await bus.stop('SIGKILL');
    cpSync(killed, stopped, { recursive: true });
    await (await startBus(stopped)).stop();
  });

  it('reads after kill -9 what the bus would have answered, says so, and changes nothing', async () => {
    assert.ok(existsSync(`${databaseOf(killed)}-wal`), 'what was written lies in the log');
    const was = contents(killed);
    for (const [i, args] of reading.entries()) {
      const { exit, stdout, stderr } = await onDisk(killed, ...args, '--json');
      assert.deepEqual([exit, stdout], [0, answered[i]], `${args}: ${stderr}`);
      assert.equal(
        stderr.split('\n')[0],
        `The bus does not answer; this is what lies on disk in ${databaseOf(killed)}.`,
      );
    }
    assert.deepEqual(contents(killed), was);
  });

  it('reads a log whose index is gone', async (t) => {
    const home = temporaryFolder(t);
    cpSync(killed, home, { recursive: true });
    rmSync(`${databaseOf(home)}-shm`, { force: true });
    const was = contents(home);
    assert.equal((await onDisk(home, 'events', '--json')).stdout, answered[0]);
    assert.deepEqual(contents(home), was);
  });

  it('reads after a clean stop, and leaves no file behind', async () => {
    const folder = dirname(databaseOf(stopped));
    const was = [readdirSync(folder), contents(stopped)];
    assert.equal(existsSync(`${databaseOf(stopped)}-wal`), false);
    for (const [i, args] of reading.entries())
      if (i % 3 === 0) assert.equal((await onDisk(stopped, ...args, '--json')).stdout, answered[i], `${args}`);
    assert.deepEqual([readdirSync(folder), contents(stopped)], was);
  });

  it('refuses what makes no sense as the bus would', async () => {
    const cases: [args: string[], exit: number, says: RegExp][] = [
      [['events', '--limit', '5000'], 2, /limit must be 1 to 1000/],
      [['events', 'no-such'], 5, /No event has the id no-such/],
      [['events', '--before', '00000000.1'], 6, /from before this log was restored/],
      [['inbox', 'a\nb'], 2, /must not contain control characters/],
    ];
    for (const [args, exit, says] of cases) {
      const ended = await onDisk(stopped, ...args);
      assert.equal(ended.exit, exit, ended.stderr);
      assert.match(ended.stderr, says);
    }
  });

  it('writes nothing', async () => {
    for (const args of [
      ['publish', 'a'],
      ['ask', 'Well?', '--no-wait'],
      ['answer', 'the-first', 'yes'],
      ['cancel', 'the-first', '--as', 'ME'],
      ['ack', 'the-first', 'AEGIS'],
      ['subscriptions', 'add', 'ME', '*'],
      ['subscriptions', 'disable', 'AEGIS', 'credential_*'],
    ]) {
      const { exit, stderr } = await onDisk(stopped, ...args);
      assert.equal(exit, 4, `${args}`);
      assert.match(stderr, /^leveredge: No bus can be reached/);
    }
  });

  it('speaks of the bus that was named, and of no disk', async () => {
    for (const args of [['events', '--url', 'http://127.0.0.1:9']]) {
      const { exit, stderr } = await leveredge([...args, '--home', stopped]);
      assert.equal(exit, 4);
      assert.match(stderr, /^leveredge: No bus can be reached at http:\/\/127\.0\.0\.1:9 /);
    }
    assert.equal(
      (await leveredge(['events'], { LEVEREDGE_URL: 'http://127.0.0.1:9', LEVEREDGE_HOME: stopped })).exit,
      4,
    );
  });

  it('says that no bus answers where there is no database either, and makes none', async (t) => {
    const home = temporaryFolder(t);
    const nothing = async () => {
      const { exit, stderr } = await onDisk(home, 'events');
      assert.equal(exit, 4);
      assert.match(stderr, /^leveredge: No bus can be reached at .*\n {2}Start it with/);
    };
    await nothing();
    assert.deepEqual(readdirSync(home), []);
    mkdirSync(dirname(databaseOf(home)), { recursive: true });
    for (const name of ['events.db', 'events.db-wal']) writeFileSync(join(dirname(databaseOf(home)), name), '');
    await nothing();
    assert.deepEqual(readdirSync(dirname(databaseOf(home))), ['events.db', 'events.db-wal']);
    assert.equal(statSync(databaseOf(home)).size, 0);
  });

  it('says of a database that it cannot read why not', async (t) => {
    const withDatabase = async (make: (db: DatabaseSync) => void): Promise<Ended> => {
      const home = temporaryFolder(t);
      mkdirSync(dirname(databaseOf(home)), { recursive: true });
      const db = new DatabaseSync(databaseOf(home));
      make(db);
      db.close();
      const was = contents(home);
      const ended = await onDisk(home, 'events');
      assert.deepEqual(contents(home), was);
      return ended;
    };
    const sql = (text: string) => (db: DatabaseSync) => db.exec(text);
    const first =
      'CREATE TABLE events (id TEXT, timestamp TEXT, source_agent TEXT, action TEXT, acknowledged_by TEXT, status TEXT)';
    const cases: [make: (db: DatabaseSync) => void, exit: number, says: RegExp][] = [
      [sql('CREATE TABLE t (x); PRAGMA user_version = 9999'), 6, /on disk: The database .* has schema 9999;/],
      [sql('CREATE TABLE t (x)'), 7, /on disk: .* is a database of another program/],
      [sql('CREATE TABLE t (x); PRAGMA application_id = 5; PRAGMA user_version = 1'), 7, /of another program/],
      [sql(first), 4, /on disk: .* was made by the first implementation.*\n {2}Start the bus: npx leveredge bus\n$/],
    ];
    for (const [make, exit, says] of cases) {
      const ended = await withDatabase(make);
      assert.equal(ended.exit, exit, ended.stderr);
      assert.match(ended.stderr, says);
    }
    const home = temporaryFolder(t);
    mkdirSync(dirname(databaseOf(home)), { recursive: true });
    writeFileSync(databaseOf(home), 'No database, but long enough to look at.'.repeat(100));
    const damaged = await onDisk(home, 'events');
    assert.equal(damaged.exit, 7);
    assert.match(damaged.stderr, /on disk: The database .* is damaged/);
  });
});
