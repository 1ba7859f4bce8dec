import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { announce, hasCome, makeStory, type Story, through, until } from './story.fixtures.ts';

/** So many events between now and what is traced that it takes a moment to look through them. */
const batches = 12;
const perBatch = 1000;
const traces = 6;
/** Seconds. Shorter, a crowded machine ends leases that are worked on, and with them attempts. */
const lease = '5';
const kills = 2;

async function fillLog({ client }: Story): Promise<void> {
  await client.publish({ source_agent: 'ME', action: 'it_began', id: 'long-ago' });
  for (let batch = 0; batch < batches; batch++)
    await client.publishBatch(Array.from({ length: perBatch }, () => ({ source_agent: 'ME', action: 'time_passed' })));
}

const begun = async ({ client }: Story, name: string, args: Record<string, string>) =>
  (await client.callCapability(name, args, { waitSeconds: 0 })).id;

async function stillRunning({ client }: Story, calls: readonly string[]): Promise<string[]> {
  const states = await Promise.all(calls.map((id) => client.callState(id)));
  return states.filter(({ status }) => status === 'running').map(({ id }) => id);
}

/** How often ATLAS has told what came of each. */
async function toldOf({ client }: Story, action: string, calls: readonly string[]): Promise<number[]> {
  const { events } = await client.events({ action, limit: 1000 });
  return calls.map((id) => events.filter(({ causation_id }) => causation_id === id).length);
}

describe('when ATLAS is killed in the middle of calls', { timeout: 180_000 }, () => {
  it('its calls wait for it and are done once, and the others go on meanwhile', async (t) => {
    const story = await makeStory(t, { agents: ['chronos'] });
    await fillLog(story);
    let atlas = await story.agent('atlas', {}, lease);
    const calls: string[] = [];
    for (let n = 0; n < traces; n++) calls.push(await begun(story, 'atlas.trace', { event: 'long-ago' }));
    // Again and again: what it had in hand comes back when the lease is over.
    for (let killed = 0; killed < kills; killed++) {
      if (killed > 0) atlas = await story.agent('atlas', {}, lease);
      await until(async () => (await atlas.callInHand()) !== null, 1);
      await atlas.kill();
      assert.notDeepEqual(await stillRunning(story, calls), [], 'it was killed in the middle');
    }
    const late = await begun(story, 'atlas.status', {});
    const list = await story.leveredge('chronos', 'list', '--json');
    assert.equal(list.exit, 0, list.stderr);
    await announce(story, 'deploy-1');
    await hasCome(story, 'backup_completed', 'deploy-1');
    assert.ok((await stillRunning(story, [late])).length === 1, 'nobody else does what is ATLAS’ to do');

    await story.agent('atlas', {}, lease);
    for (const id of calls) {
      const { status, result, error } = await through(story, id);
      assert.deepEqual([status, error, result?.matter], ['done', null, 'long-ago']);
    }
    assert.equal((await through(story, late)).status, 'done');
    assert.deepEqual(
      await toldOf(story, 'atlas_trace_returned', calls),
      calls.map(() => 1),
    );
    assert.deepEqual(await toldOf(story, 'atlas_status_returned', [late]), [1]);
    const agents = await story.client.agents();
    const mine = agents.find(({ agent }) => agent === 'ATLAS');
    assert.deepEqual([mine?.deliveries.dead, mine?.state], [0, 'alive']);
    assert.deepEqual((await story.client.deadLetters({ agent: 'ATLAS.calls' })).dead_letters, []);
  });
});
