import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { allCapabilities } from '../../src/capabilities/all-capabilities.ts';
import type { Capability } from '../../src/events/capability.ts';
import { leveredge, temporaryFolder } from '../cli-run.fixtures.ts';
import { announce, hasCome, makeStory, type Story } from './story.fixtures.ts';

const capabilityOf = (name: string) => allCapabilities.find((each) => each.name === name) as Capability;
const databaseOf = (home: string) => join(home, 'control-plane/event-bus/events.db');
/** Nothing listens there, so that no other bus of this machine answers. */
const silent = { LEVEREDGE_PORT: '9', NO_COLOR: '1' };

/** What tells just the same with a bus and without one. */
const same = [
  ['atlas', 'pending'],
  ['atlas', 'events', '--action', 'deploy_started'],
  ['atlas', 'events', '--source', 'CHRONOS', '--action', 'backup_completed'],
  ['atlas', 'trace', 'deploy-1'],
  ['atlas', 'trace', 'deploy-'],
  ['atlas', 'what happened after deploy-1'],
  ['atlas', 'route', 'roll dev back'],
  ['chronos', 'list'],
  ['chronos', 'list', '--target', 'dev'],
  ['hades', 'list'],
  ['hades', 'plan', 'dev'],
];

describe('what only reads, without a bus', { timeout: 240_000 }, () => {
  let story: Story;
  let home: string;
  const live: string[] = [];
  const undo: (() => unknown)[] = [];
  const offline = (...words: string[]) => leveredge([...words, '--home', home], silent);

  before(async () => {
    const t = { after: (fn: () => unknown) => void undo.unshift(fn) } as unknown as TestContext;
    story = await makeStory(t, { agents: ['chronos', 'hades'] });
    home = story.stand.home;
    await story.agent('atlas');
    await announce(story, 'deploy-1');
    await hasCome(story, 'backup_completed', 'deploy-1');
    const question = { requires_human: true, human_question: 'Shall we?', human_timeout_minutes: 600 };
    await story.client.publish({ source_agent: 'ME', action: 'may_i', id: 'question-1', ...question });
    for (const words of same) {
      const { stdout, exit, stderr } = await story.leveredge(...words, '--json');
      assert.equal(exit, 0, `${words}: ${stderr}`);
      live.push(stdout);
    }
    await story.killBus();
  });
  after(async () => {
    for (const each of undo) await each();
  });

  function contents(): Record<string, string> {
    const folder = dirname(databaseOf(home));
    const names = readdirSync(folder).filter((name) => !name.endsWith('-shm'));
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'latin1')]));
  }

  it('tells from disk what it would have told, in the same shape, says so, and changes nothing', async () => {
    const was = contents();
    for (const [at, words] of same.entries()) {
      const { exit, stdout, stderr } = await offline(...words, '--json');
      assert.deepEqual([exit, stdout], [0, live[at]], `${words}: ${stderr}`);
      const place = words[0] === 'atlas' ? databaseOf(home) : 'GAIA’s catalog';
      assert.ok(stderr.includes(`The bus does not answer; this is what lies on disk in ${place}.\n`), stderr);
    }
    assert.deepEqual(contents(), was);
  });

  it('says how things stood, and with the next command what cannot be told from disk', async () => {
    const status = await offline('atlas', 'check system health', '--json');
    const told = JSON.parse(status.stdout);
    assert.deepEqual(capabilityOf('atlas.status').output.strict().parse(told), told);
    assert.deepEqual([status.exit, told.status, told.open_questions, told.dead_letters], [0, 'no bus answers', 1, 0]);
    assert.ok(told.events > 5 && told.open_deliveries > 0);
    assert.match(
      status.stderr,
      /^atlas\.status\nThe bus does not answer; .*\nWhy no bus answers: npx leveredge doctor\n$/,
    );
    const agents = await offline('atlas', 'agents', '--json');
    const list = JSON.parse(agents.stdout);
    assert.deepEqual(capabilityOf('atlas.agents').output.strict().parse(list), list);
    const chronos = list.agents.find(({ agent }: { agent: string }) => agent === 'CHRONOS');
    // It was killed with its bus, and nobody has seen it since.
    assert.equal(chronos.state, 'unknown');
    assert.ok(chronos.offers.includes('chronos.backup'));
    assert.match(agents.stderr, /\nWho is alive only a running bus knows: npx leveredge up\n$/);
  });

  it('shows of a rollback that would be refused why, in words', async () => {
    const writer = openSync(join(story.stand.root, 'being-written'), 'w');
    try {
      const { exit, stdout, stderr } = await offline('hades', 'plan', 'dev', '--json');
      assert.equal(exit, 0, stderr);
      assert.match(JSON.parse(stdout).refusals[0], /^Files are open for writing: process /);
    } finally {
      closeSync(writer);
      rmSync(join(story.stand.root, 'being-written'));
    }
  });

  it('refuses what the bus would, and calls nothing that changes something', async () => {
    const before = await offline('atlas', 'events', '--limit', '1', '--json');
    for (const [words, exit, says] of [
      [['atlas', 'events', '--limit', '5000'], 2, /--limit must be at most 200/],
      [['atlas', 'trace', 'no-such'], 5, /No event has the id no-such/],
      [['hades', 'plan', 'nothing'], 5, /^leveredge: The bus does not answer, and on disk: /],
      [['chronos', 'backup', 'dev'], 4, /No bus .*\n {2}Without the bus: npx gaia backup TARGET/],
      [['hades', 'rollback', 'dev'], 4, /No bus .*\n {2}Without the bus: npx gaia restore TARGET/],
      [['atlas', 'respond', 'question-1', 'yes'], 4, /No bus /],
      [['atlas', 'events', '--url', 'http://127.0.0.1:9'], 4, /No bus .*\n {2}Without the bus: npx leveredge events/],
    ] as const) {
      const ended = await offline(...words);
      assert.deepEqual([ended.exit, ended.stdout], [exit, ''], `${words}: ${ended.stderr}`);
      assert.match(ended.stderr, says);
    }
    assert.equal((await offline('atlas', 'events', '--limit', '1', '--json')).stdout, before.stdout);
  });

  it('says that no bus answers where there is nothing to read, and what is wrong where that cannot be read', async (t) => {
    const empty = temporaryFolder(t);
    const nothing = await leveredge(['atlas', 'status', '--home', empty], silent);
    assert.equal(nothing.exit, 4);
    assert.match(nothing.stderr, /^leveredge: No bus can be reached at /);
    const list = await leveredge(['chronos', 'list', '--home', empty], silent);
    assert.equal(list.exit, 5);
    assert.match(
      list.stderr,
      /^leveredge: The bus does not answer, and on disk: There is no configuration at .*\n {2}Name one/,
    );
    assert.deepEqual(readdirSync(empty), []);
    mkdirSync(dirname(databaseOf(empty)), { recursive: true });
    writeFileSync(databaseOf(empty), 'No database, but long enough to look at.'.repeat(100));
    const damaged = await leveredge(['atlas', 'status', '--home', empty], silent);
    assert.equal(damaged.exit, 7);
    assert.match(damaged.stderr, /^leveredge: The bus does not answer, and on disk: The database .* is damaged/);
    rmSync(databaseOf(empty));
  });
});
