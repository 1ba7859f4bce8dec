import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  announce,
  asideOf,
  asked,
  deployFailed,
  happened,
  hasCome,
  type Story,
  saidTwice,
  storyAt,
  through,
  wholeTrail,
} from '../heavy/story.fixtures.ts';
import { noEngine } from './docker.fixtures.ts';
import { noServer } from './postgres.fixtures.ts';
import { freePort, makeStack, type Stack } from './stack-stand.fixtures.ts';

const missing = noEngine() ?? noServer();
if (missing !== undefined) console.log(`NOT RUN: the story of a stack needs Docker and PostgreSQL: ${missing}`);

/** Bus, CHRONOS, HADES and ATLAS are processes of their own; what is deployed to is a compose project with its database. */
describe('a deployment to a compose project with PostgreSQL', { skip: missing !== undefined, timeout: 900_000 }, () => {
  let stack: Stack;
  let story: Story;
  const ends: (() => unknown)[] = [];
  before(async () => {
    stack = await makeStack();
    ends.push(() => stack.end());
    // What it tells of the backup that it has made before there was a bus.
    rmSync(join(stack.backups, '.gaia', 'outbox'), { recursive: true, force: true });
    const t = { after: (end: () => unknown) => void ends.unshift(end) };
    story = await storyAt(t, stack, ['chronos', 'hades', 'atlas']);
  });
  after(async () => {
    for (const end of ends) await end();
  });

  const accounts = () =>
    stack.sql("SELECT count(*), sum(balance), md5(string_agg(id::text, ',' ORDER BY id)) FROM account");
  const files = () =>
    ['compose.yml', 'notes', 'site/version'].map((name) => readFileSync(join(stack.root, name), 'utf8'));

  /** What follows from this event, the oldest first. */
  async function trailOf(matter: string): Promise<string[]> {
    const known = new Set([matter]);
    const events = await happened(story);
    for (const { id, causation_id } of events) if (known.has(causation_id ?? '')) known.add(id);
    return events.filter(({ id }) => known.has(id)).map(({ source_agent, action }) => `${source_agent} ${action}`);
  }

  /** Announced and backed up before. */
  async function begun(id: string): Promise<void> {
    await announce(story, id);
    const { details } = await hasCome(story, 'backup_completed', id);
    assert.equal(details?.state, 'sound');
  }

  /** The deployment has failed, HADES has asked, and a person says yes. */
  async function approved(id: string, name: string) {
    await deployFailed(story, id);
    const { call, question, yes } = await asked(story, `${id}-failed`);
    const { human_question } = await story.client.event(question);
    assert.match(human_question ?? '', /^Roll dev back to dev-\S+\?\n/);
    assert.match(human_question ?? '', /Stopped meanwhile: .*compose\.yml/);
    await (await story.person(name)).respond(question, yes);
    return through(story, call);
  }

  it('is backed up before, breaks rows and files, and is rolled back after a yes: both are as they were', async () => {
    const before = { accounts: accounts(), files: files(), server: stack.idOf('db') };
    await begun('deploy-1');
    stack.sql(
      "UPDATE account SET balance = -1 WHERE id % 2 = 0; DELETE FROM account WHERE id > 900; UPDATE status SET said = 'broken'",
    );
    stack.version('2');
    writeFileSync(join(stack.root, 'notes'), 'of the deployment\n');
    await stack.untilSays('503');
    assert.notEqual(accounts(), before.accounts);

    const { status, result, error, approval } = await approved('deploy-1', 'anna');
    assert.deepEqual([status, approval?.responded_by], ['done', 'anna'], JSON.stringify(error));
    assert.deepEqual([result?.outcome, result?.health], ['committed', 'proven']);
    assert.deepEqual({ accounts: accounts(), files: files(), server: stack.idOf('db') }, before);
    assert.equal(await stack.says(), 'well 1');
    assert.equal(asideOf(stack).length, 1);
    assert.deepEqual(await trailOf('deploy-1'), wholeTrail);
    assert.deepEqual(await saidTwice(story), []);

    const { exit, stdout, stderr } = await story.leveredge('atlas', 'trace', 'deploy-1');
    assert.equal(exit, 0, stderr);
    const lines = stdout.split('\n').filter((line) => /^\d{4}-/.test(line));
    assert.equal(lines.length, wholeTrail.length, stdout);
    for (const [at, each] of wholeTrail.entries()) assert.ok(lines[at]?.includes(each.replace(' ', '\t')), stdout);
    assert.match(stdout, /by anna/);
  });

  it('whose port another program has taken is rolled back, is not well, and is left as it was found', async (t) => {
    await begun('deploy-2');
    // It has moved, and what has come in its place stays there whatever is restored.
    const file = join(stack.root, 'compose.yml');
    const port = await freePort();
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(`127.0.0.1:${stack.ports.web}`, `127.0.0.1:${port}`));
    stack.compose('up', '-d');
    const other = createServer((_, response) => response.writeHead(500).end()).listen(stack.ports.web, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    await stack.untilSays('500');
    stack.sql('UPDATE account SET balance = 3');
    const broken = { accounts: accounts(), files: files() };

    const { status, error } = await approved('deploy-2', 'berta');
    assert.equal(status, 'failed');
    assert.match(error?.message ?? '', /web .*answers 500/);
    assert.deepEqual({ accounts: accounts(), files: files() }, broken);
    const trail = [...wholeTrail.slice(0, 7), 'GAIA restore_failed', 'HADES hades_rollback_returned'];
    assert.deepEqual(await trailOf('deploy-2'), trail);
    assert.deepEqual(await saidTwice(story), []);
    const told = await hasCome(story, 'restore_failed');
    assert.deepEqual([told.details?.exit, told.details?.says], [1, error?.message]);
    assert.match(String(told.details?.says), /old state is back/);
    // Nobody is asked about a failure of the way back.
    assert.deepEqual((await story.client.pending()).pending, []);
    const { exit, stdout } = await story.leveredge('atlas', 'trace', 'deploy-2', '--json');
    assert.equal(exit, 0);
    assert.equal((JSON.parse(stdout) as { trace: unknown[] }).trace.length, trail.length);
  });
});
