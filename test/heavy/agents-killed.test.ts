import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/base/json.ts';
import type { Manifest } from '../../src/recovery/archive/manifest.ts';
import { leftBehind, type Stand } from '../recovery/gaia.fixtures.ts';
import { killedAt, points, type Reaction } from './kill-points.fixtures.ts';
import {
  announce,
  asideOf,
  assertBroken,
  assertWhole,
  breakTarget,
  hasCome,
  questionOf,
  type Story,
  saidTwice,
  through,
  until,
} from './story.fixtures.ts';

/** Enough that GAIA is at it for longer than it takes to stop it in the middle. */
const manyBytes = 32 * 1024 * 1024;
const addLarge = ({ root }: Stand) => writeFileSync(join(root, 'state', 'large'), randomBytes(manyBytes));

async function gaia({ stand }: Story, ...words: string[]): Promise<void> {
  const { exit, stderr } = await stand.gaia(...words);
  assert.ok(exit === 0, stderr);
}

/** Calls it, as soon as that is wanted. */
const calling = (story: Story, name: string, args: JsonObject) => async () =>
  (await story.client.callCapability(name, args, { waitSeconds: 0 })).id;

/** Calls it now, and approves it as soon as that is wanted. */
async function approving(story: Story, name: string, args: JsonObject): Promise<() => Promise<string>> {
  const id = await calling(story, name, args)();
  const { question, yes } = await questionOf(story, id, name);
  const anna = await story.person('anna');
  await anna.health();
  return async () => {
    await anna.respond(question, yes);
    return id;
  };
}

function manifestsOf({ backups }: Stand): Manifest[] {
  const folder = join(backups, 'dev');
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => /^dev-.*\.manifest\.json$/.test(name)) : [];
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Manifest);
}

/** How often each is said that follows from this one. */
async function saidOf(story: Story, cause: string): Promise<string[]> {
  const { events } = await story.client.events({ limit: 1000 });
  const consequences = events.filter(({ causation_id }) => causation_id === cause);
  return consequences.map(({ source_agent, action }) => `${source_agent} ${action}`).sort();
}

/** The call is done, nothing is said twice, nothing was given up, and nothing lies about. */
async function doneOnce(story: Story, call: string, ...said: string[]): Promise<JsonObject> {
  const { status, result, error, capability } = await through(story, call);
  assert.equal(status, 'done', JSON.stringify(error));
  await settled(story);
  const returned = `${capability.split('.')[0]?.toUpperCase()} ${capability.replace('.', '_')}_returned`;
  assert.deepEqual(await saidOf(story, call), [...said, returned].sort());
  assert.deepEqual(await saidTwice(story), []);
  return result as JsonObject;
}

/** Nothing is worked on or waits any more, nothing was given up, and nothing half made lies about. */
async function settled(story: Story): Promise<void> {
  await until(async () => {
    const agents = (await story.client.agents()).filter(({ agent }) => /^(CHRONOS|HADES)\b/.test(agent));
    return agents.length > 1 && agents.every(({ deliveries }) => deliveries.ready + deliveries.leased === 0);
  });
  assert.deepEqual((await story.client.deadLetters()).dead_letters, []);
  // What waited for the bus goes along with what GAIA does next.
  await gaia(story, 'prune', '--dry-run');
  const left = leftBehind(story.stand.backups, join(story.stand.home, 'data-plane'));
  // What a run was about to tell is its own, in its own folder.
  assert.deepEqual(
    left.filter((name) => !name.startsWith('.gaia/runs/')),
    [],
  );
}

const reactions: Reaction[] = [
  {
    what: 'a backup before a change',
    agent: 'chronos',
    async ready(story) {
      addLarge(story.stand);
      return async () => (await announce(story, 'deploy-1')).id;
    },
    gaia: ['backup'],
    middle: 'lock',
    async assertOnce(story, cause) {
      const { details } = await hasCome(story, 'backup_completed', cause);
      await settled(story);
      assert.deepEqual(await saidOf(story, cause), ['CHRONOS backup_completed']);
      const made = manifestsOf(story.stand).map(({ name, cause: of }) => [name, of]);
      assert.deepEqual(made, [[details?.backup, cause]]);
    },
  },
  {
    what: 'chronos.backup',
    agent: 'chronos',
    async ready(story) {
      addLarge(story.stand);
      return calling(story, 'chronos.backup', { target: 'dev' });
    },
    gaia: ['backup'],
    middle: 'lock',
    async assertOnce(story, call) {
      const { backup } = await doneOnce(story, call, 'CHRONOS backup_completed');
      const made = manifestsOf(story.stand).map(({ name, cause }) => [name, cause]);
      assert.deepEqual(made, [[backup, call]]);
    },
  },
  {
    what: 'chronos.verify',
    agent: 'chronos',
    async ready(story) {
      addLarge(story.stand);
      await gaia(story, 'backup', 'dev');
      return calling(story, 'chronos.verify', { target: 'dev' });
    },
    gaia: ['verify'],
    middle: 'archive',
    async assertOnce(story, call) {
      assert.equal((await doneOnce(story, call, 'GAIA backup_verified')).state, 'sound');
    },
  },
  {
    what: 'chronos.drill',
    agent: 'chronos',
    async ready(story) {
      addLarge(story.stand);
      await gaia(story, 'backup', 'dev');
      return calling(story, 'chronos.drill', { target: 'dev' });
    },
    gaia: ['drill'],
    middle: 'lock',
    async assertOnce(story, call) {
      assert.equal((await doneOnce(story, call, 'GAIA drill_completed')).result, 'proven');
      assert.deepEqual(readdirSync(join(story.stand.home, 'data-plane')), ['dev']);
    },
  },
  {
    what: 'chronos.prune',
    agent: 'chronos',
    async ready(story) {
      const retention = '{ keep_last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 }';
      appendFileSync(story.stand.config, `retention: ${retention}\n`);
      for (let n = 0; n < 3; n++) await gaia(story, 'backup', 'dev');
      return approving(story, 'chronos.prune', { target: 'dev' });
    },
    gaia: ['prune', '--yes'],
    async assertOnce(story, call) {
      const { trashed } = (await doneOnce(story, call, 'EVENT-BUS chronos_prune_approval')) as { trashed: string[] };
      const pruned = readFileSync(join(story.stand.backups, '.gaia', 'pruned.ndjson'), 'utf8')
        .trimEnd()
        .split('\n');
      const names = pruned.map((line) => (JSON.parse(line) as { name: string }).name);
      assert.deepEqual([trashed.length, names.sort()], [2, trashed.sort()]);
      assert.equal(manifestsOf(story.stand).length, 1);
    },
  },
  {
    what: 'the question whether to roll back',
    agent: 'hades',
    async ready(story) {
      await gaia(story, 'backup', 'dev');
      const failed = { source_agent: 'HEPHAESTUS', action: 'deploy_failed', target: 'dev', id: 'failed-1' };
      return async () => (await story.client.publish(failed)).id;
    },
    gaia: ['plan'],
    async assertOnce(story, cause) {
      const { id } = await hasCome(story, 'hades_rollback_called', cause);
      await questionOf(story, id);
      await settled(story);
      assert.deepEqual(await saidOf(story, cause), ['EVENT-BUS hades_rollback_called']);
      assert.deepEqual(await saidOf(story, id), ['EVENT-BUS hades_rollback_approval']);
      assert.deepEqual(await saidTwice(story), []);
    },
  },
  {
    what: 'hades.rollback',
    agent: 'hades',
    async ready(story) {
      addLarge(story.stand);
      await gaia(story, 'backup', 'dev');
      breakTarget(story.stand);
      return approving(story, 'hades.rollback', { target: 'dev' });
    },
    gaia: ['restore'],
    middle: 'lock',
    async assertOnce(story, call) {
      const said = ['EVENT-BUS hades_rollback_approval', 'GAIA restore_completed', 'GAIA restore_started'];
      assert.equal((await doneOnce(story, call, ...said)).outcome, 'committed');
      assertWhole(story.stand);
      assert.equal(asideOf(story.stand).length, 1);
    },
  },
  {
    what: 'hades.undo',
    agent: 'hades',
    async ready(story) {
      addLarge(story.stand);
      await gaia(story, 'backup', 'dev');
      breakTarget(story.stand);
      await gaia(story, 'restore', 'dev', '--yes');
      return approving(story, 'hades.undo', { target: 'dev' });
    },
    gaia: ['undo'],
    middle: 'lock',
    async assertOnce(story, call) {
      const said = ['EVENT-BUS hades_undo_approval', 'GAIA restore_completed', 'GAIA restore_started'];
      assert.equal((await doneOnce(story, call, ...said)).outcome, 'committed');
      assertBroken(story.stand);
    },
  },
];

/** Every process that has a part in it, killed with -9 and started again: 8 reactions at 7 points. */
for (const reaction of reactions)
  describe(`${reaction.what} is done once, and told once`, { timeout: 600_000, concurrency: 3 }, () => {
    for (const point of points) it(`when ${point.who} killed`, (t) => killedAt(t, point, reaction));
  });
