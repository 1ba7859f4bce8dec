import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { stateOf } from '../recovery/kill.fixtures.ts';
import {
  announce,
  asideOf,
  asked,
  assertBroken,
  assertWhole,
  breakTarget,
  brokenDeploy,
  deployFailed,
  gaiaAtWork,
  happened,
  hasCome,
  makeStory,
  type Story,
  saidTwice,
  through,
  trail,
  until,
  wholeTrail,
} from './story.fixtures.ts';

/** Enough that a backup takes longer than it takes to stop it in the middle. */
const manyBytes = 12 * 1024 * 1024;

/** A story in which HADES is started by the test, with what its processes find in their environment. */
async function withHades(t: TestContext, env: Record<string, string> = {}, lease?: string) {
  const story = await makeStory(t, { agents: ['chronos'] });
  return { story, hades: await story.agent('hades', env, lease) };
}

/** At once, while it is prepared. */
function hasBeenCalled({ client }: Story) {
  return until(async () => (await client.events({ action: 'hades_rollback_called', limit: 1 })).count > 0, 2);
}

async function answered(story: Story) {
  const anna = await story.person('anna');
  const { question, yes, call } = await asked(story, 'deploy-1-failed');
  await anna.respond(question, yes);
  return call;
}

/** Everything is there once and in order, and the call is done. */
async function assertDoneOnce(story: Story, call: string): Promise<void> {
  const { status, result, error } = await through(story, call);
  assert.equal(status, 'done', JSON.stringify(error));
  assert.equal(result?.outcome, 'committed');
  await hasCome(story, 'restore_completed', call);
  assertWhole(story.stand);
  assert.equal(asideOf(story.stand).length, 1);
  assert.deepEqual(await saidTwice(story), []);
  assert.deepEqual(await trail(story), wholeTrail);
}

/** The process that restores, once it has stopped itself where it was told to. */
function stoppedGaia({ stand }: Story): Promise<number> {
  return until(() => {
    const pid = gaiaAtWork(stand);
    return pid !== undefined && stateOf(pid) === 'T' && pid;
  }, 5);
}

async function assertNoneOf({ client }: Story, action: string): Promise<void> {
  assert.deepEqual(
    (await happened({ client })).filter((each) => each.action === action),
    [],
  );
}

describe('a rollback is done once', { timeout: 240_000, concurrency: 5 }, () => {
  it('when HADES is killed while it prepares', async (t) => {
    const { story, hades } = await withHades(t);
    await brokenDeploy(story, 'deploy-1');
    await hasBeenCalled(story);
    await hades.kill();
    await assertNoneOf(story, 'hades_rollback_approval');
    await story.agent('hades');
    await assertDoneOnce(story, await answered(story));
  });

  it('when HADES is killed after it has asked, and the answer comes while it is dead', async (t) => {
    const { story, hades } = await withHades(t);
    await brokenDeploy(story, 'deploy-1');
    const { call } = await asked(story, 'deploy-1-failed');
    await hades.kill();
    assert.equal(await answered(story), call);
    assertBroken(story.stand);
    await story.agent('hades');
    await assertDoneOnce(story, call);
  });

  it('when HADES is killed right after the answer', async (t) => {
    const { story, hades } = await withHades(t);
    await brokenDeploy(story, 'deploy-1');
    const call = await answered(story);
    await hades.kill();
    await assertNoneOf(story, 'hades_rollback_returned');
    await story.agent('hades');
    await assertDoneOnce(story, call);
  });

  for (const point of ['after stage begin', 'after swap begin', 'after end done']) {
    it(`when HADES is killed while GAIA restores, ${point}`, async (t) => {
      const { story, hades } = await withHades(t, { GAIA_STOP_AT: point });
      await brokenDeploy(story, 'deploy-1');
      const call = await answered(story);
      const gaia = await stoppedGaia(story);
      await hades.kill();
      const second = await story.agent('hades');
      // The new one comes while the old restore still works.
      await until(async () => (await second.callInHand()) !== null);
      process.kill(gaia, 'SIGCONT');
      await assertDoneOnce(story, call);
    });

    it(`when both HADES and GAIA are killed, ${point}`, async (t) => {
      const { story, hades } = await withHades(t, { GAIA_STOP_AT: point });
      await brokenDeploy(story, 'deploy-1');
      const call = await answered(story);
      const gaia = await stoppedGaia(story);
      await hades.kill();
      process.kill(gaia, 'SIGKILL');
      await story.agent('hades');
      await assertDoneOnce(story, call);
    });
  }

  it('when GAIA alone is killed in the middle', async (t) => {
    const { story } = await withHades(t, { GAIA_STOP_AT: 'after swap begin' });
    await brokenDeploy(story, 'deploy-1');
    const call = await answered(story);
    process.kill(await stoppedGaia(story), 'SIGKILL');
    await assertDoneOnce(story, call);
  });

  it('when the bus is killed while HADES prepares', async (t) => {
    // HADES still holds the call when the bus is back.
    const { story, hades } = await withHades(t, {}, '20');
    await brokenDeploy(story, 'deploy-1');
    const latest = performance.now() + 2000;
    await until(async () => (await hades.callInHand()) !== null || performance.now() > latest, 2);
    await story.killBus();
    // Longer than GAIA takes to plan.
    await pause(2000);
    await story.startBus();
    await assertDoneOnce(story, await answered(story));
  });

  it('when the bus is killed after the answer', async (t) => {
    const { story } = await withHades(t);
    await brokenDeploy(story, 'deploy-1');
    const call = await answered(story);
    await story.killBus();
    await story.startBus();
    await assertDoneOnce(story, call);
  });

  it('when the bus is dead for as long as GAIA restores', async (t) => {
    // HADES still holds the call when the bus is back.
    const { story } = await withHades(t, { GAIA_STOP_AT: 'after stage begin' }, '60');
    await brokenDeploy(story, 'deploy-1');
    const call = await answered(story);
    const gaia = await stoppedGaia(story);
    await story.killBus();
    process.kill(gaia, 'SIGCONT');
    await until(() => asideOf(story.stand).length === 1 && gaiaAtWork(story.stand) === undefined);
    await story.startBus();
    await assertDoneOnce(story, call);
  });

  it('when CHRONOS is killed during its backup', async (t) => {
    const story = await makeStory(t, { agents: ['hades'] });
    const { stand } = story;
    const chronos = await story.agent('chronos');
    writeFileSync(join(stand.root, 'state', 'large'), randomBytes(manyBytes));
    await announce(story, 'deploy-1');
    const gaia = await until(() => gaiaAtWork(stand), 2);
    process.kill(gaia, 'SIGSTOP');
    await chronos.kill();
    await assertNoneOf(story, 'backup_completed');
    await story.agent('chronos');
    process.kill(gaia, 'SIGCONT');
    await hasCome(story, 'backup_completed', 'deploy-1');
    breakTarget(stand);
    await deployFailed(story, 'deploy-1');
    await assertDoneOnce(story, await answered(story));
    const backups = readdirSync(join(stand.backups, 'dev')).filter((name) => /^dev-.*\.manifest\.json$/.test(name));
    assert.equal(backups.length, 1);
  });
});

describe('while one agent is dead', { timeout: 240_000 }, () => {
  it('the others work, and it does what it has missed once it is back', async (t) => {
    const { story, hades } = await withHades(t);
    await hades.kill();
    await brokenDeploy(story, 'deploy-1');
    const list = await story.leveredge('chronos', 'list', '--json');
    assert.equal(list.exit, 0, list.stderr);
    assert.match(list.stdout, /"dev-[^"]+"/);
    await story.agent('atlas');
    const status = await story.leveredge('atlas', 'status', '--json');
    assert.equal(status.exit, 0, status.stderr);
    await assertNoneOf(story, 'hades_rollback_called');
    const second = await story.agent('hades');
    const call = await answered(story);
    await assertDoneOnce(story, call);
    // What it hears from now on it does too, though it has been dead before.
    await second.kill();
    await story.client.publish({ source_agent: 'ARGUS', action: 'audit_failed', target: 'dev', id: 'failed-2' });
    await story.agent('hades');
    await asked(story, 'failed-2');
  });
});
