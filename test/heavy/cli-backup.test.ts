import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { copiesIn } from '../../src/agents/chronos/event-bus-copies.ts';
import { makeClient } from '../../src/client/client.ts';
import { leveredge, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const databaseOf = (home: string) => join(home, 'control-plane/event-bus/events.db');
const event = { source_agent: 'ME', action: 'something_happened' };

describe('leveredge backup', { concurrency: 2 }, () => {
  it('copies the database while the bus takes events, and the copy can be put back', async (t) => {
    const home = temporaryFolder(t);
    const bus = await startBus(home);
    const client = makeClient({ url: bus.url });
    await client.publish({ ...event, id: 'before' });
    const question = await client.publish({ ...event, requires_human: true, human_question: 'Well?' });
    // A thousand pages and more, so that the copy takes longer than one write.
    const page = { ...event, details: { text: 'x'.repeat(4000) } };
    await Promise.all(Array.from({ length: 1000 }, () => client.publish(page)));
    let publishing = true;
    const publisher = (async () => {
      let published = 0;
      for (; publishing; published++) await client.publish(event);
      return published;
    })();
    const { exit, stdout, stderr } = await leveredge(['backup', '--home', home]);
    publishing = false;
    assert.ok((await publisher) > 0);
    assert.equal(exit, 0, stderr);
    assert.match(stderr, /^Sound: \d+ events, 1 open questions, /);
    const file = stdout.trim();
    assert.equal(dirname(file), join(home, 'shared/backups/event-bus'));
    assert.match(file, /events-\d{8}T\d{9}Z\.db$/);
    assert.deepEqual(readdirSync(dirname(file)).length, 1, 'nothing else is left beside the copy');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await bus.stop();

    const restored = temporaryFolder(t);
    mkdirSync(dirname(databaseOf(restored)), { recursive: true });
    cpSync(file, databaseOf(restored));
    const again = await startBus(restored);
    t.after(() => again.stop());
    const from = makeClient({ url: again.url });
    assert.equal((await from.event('before')).action, 'something_happened');
    assert.equal((await from.event(question.id)).human_state, 'open');
    await from.publish(event);
  });

  it('copies without a bus, to the file it is given', async (t) => {
    const home = temporaryFolder(t);
    await (await startBus(home)).stop();
    const file = join(home, 'copy.db');
    const { exit, stdout } = await leveredge(['backup', file, '--home', home, '--json']);
    assert.equal(exit, 0);
    const { bytes, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { file, events: 0, open_questions: 0, removed: [] });
    assert.equal(bytes, statSync(file).size);
    const copy = new DatabaseSync(file, { readOnly: true });
    assert.equal(copy.prepare('PRAGMA journal_mode').get()?.journal_mode, 'delete');
    copy.close();

    const second = await leveredge(['backup', file, '--home', home]);
    assert.equal(second.exit, 6);
    assert.match(second.stderr, /exists already, and a backup overwrites nothing/);
  });

  it('copies as a schedule does: what CHRONOS knows as its own, and older ones of these go', async (t) => {
    const home = temporaryFolder(t);
    await (await startBus(home)).stop();
    const folder = join(home, 'shared/backups/event-bus');
    mkdirSync(folder, { recursive: true });
    const day = (n: number) => `events-2020010${n}T000000000Z`;
    for (let n = 1; n <= 9; n++) writeFileSync(join(folder, `${day(n)}-scheduled.db`), '');
    for (const name of [`${day(1)}.db`, 'notes.txt']) writeFileSync(join(folder, name), '');
    const { exit, stdout, stderr } = await leveredge(['backup', '--scheduled', '--home', home, '--json']);
    assert.equal(exit, 0, stderr);
    const { file, removed } = JSON.parse(stdout);
    // The last of 7 days stay.
    const names = [1, 2, 3].map((n) => `${day(n)}-scheduled.db`);
    assert.deepEqual(removed.sort(), names);
    for (const name of names) assert.ok(!existsSync(join(folder, name)), name);
    assert.deepEqual(copiesIn(folder).filter(({ isScheduled }) => isScheduled)[0]?.name, basename(file));
    for (const name of [`${day(1)}.db`, 'notes.txt']) assert.ok(existsSync(join(folder, name)), name);

    const both = await leveredge(['backup', join(home, 'x.db'), '--scheduled', '--home', home]);
    assert.equal(both.exit, 2);
    assert.match(both.stderr, /With --scheduled no file is named/);
  });

  it('copies whatever is wrong with the settings, and says what is', async (t) => {
    const home = temporaryFolder(t);
    await (await startBus(home)).stop();
    mkdirSync(join(home, 'config'));
    writeFileSync(join(home, 'config/leveredge.yaml'), 'bus:\n  prot: 8099\n');
    const { exit, stdout, stderr } = await leveredge(['backup', '--home', home], { LEVEREDGE_PORT: 'abc' });
    assert.equal(exit, 0, stderr);
    assert.ok(statSync(stdout.trim()).size > 0);
    assert.match(stderr, /^Sound: 0 events.*\nNote: The settings of the bus have 2 mistakes\.\n {2}LEVEREDGE_PORT: /);
    assert.match(stderr, /leveredge\.yaml:\n {4}line 2: bus\.prot is no setting .*\n$/);
  });

  it('makes no folder outside the home, where a disk may not be mounted', async (t) => {
    const home = temporaryFolder(t);
    await (await startBus(home)).stop();
    const elsewhere = temporaryFolder(t);
    const folder = join(elsewhere, 'disk/backups');
    const { exit, stderr } = await leveredge(['backup', join(folder, 'x.db'), '--home', home]);
    assert.equal(exit, 5);
    assert.match(stderr, new RegExp(`There is no folder ${folder}, .*\\n {2}If it is on a disk that is not mounted`));
    assert.deepEqual(readdirSync(elsewhere), []);
    const within = await leveredge(['backup', join(home, 'mine/x.db'), '--home', home]);
    assert.equal(within.exit, 0, within.stderr);
    writeFileSync(join(elsewhere, 'file'), '');
    assert.equal((await leveredge(['backup', join(elsewhere, 'file/x.db'), '--home', home])).exit, 2);
  });

  it('says so when there is nothing to copy', async (t) => {
    const { exit, stderr } = await leveredge(['backup', '--home', temporaryFolder(t)]);
    assert.equal(exit, 5);
    assert.match(stderr, /There is no database at .*events\.db/);
  });

  it('makes no copy of a damaged database', async (t) => {
    const home = temporaryFolder(t);
    mkdirSync(dirname(databaseOf(home)), { recursive: true });
    writeFileSync(databaseOf(home), 'This is no database, but long enough to look at.'.repeat(100));
    const { exit, stderr } = await leveredge(['backup', '--home', home]);
    assert.equal(exit, 7, stderr);
    assert.deepEqual(readdirSync(join(home, 'shared/backups/event-bus')), []);
  });
});
