import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { start } from '../cli-run.fixtures.ts';
import { announce, gaiaAtWork, hasCome, makeStory, saidTwice, until } from './story.fixtures.ts';

/** Enough that a backup takes longer than it takes to stop it in the middle. */
const manyBytes = 12 * 1024 * 1024;
/** Of the bus, unless it says otherwise. */
const maxAttempts = 5;
/** Events before one that nobody reacts to any more. */
const deepest = 16;

describe('an agent as a process of its own', { timeout: 240_000, concurrency: true }, () => {
  it('cuts a circle with an agent that knows of none, says so once, and goes on with what is no circle', async (t) => {
    const story = await makeStory(t, { agents: ['chronos'] });
    const other = start(['-e', circler], { LEVEREDGE_URL: story.url }, [process.execPath]);
    t.after(() => other.child.kill('SIGKILL'));
    await other.says('stdout', /^hears$/);
    await announce(story, 'deploy-0');
    const cut = await hasCome(story, 'loop_cut');
    const { because, says, chain } = cut.details as { because: string; says: string; chain: unknown[] };
    assert.deepEqual([cut.source_agent, cut.target, because, chain.length], ['CHRONOS', 'dev', 'depth', deepest + 1]);
    assert.match(says, /go round in a circle/);
    await announce(story, 'deploy-alone');
    await hasCome(story, 'backup_completed', 'deploy-alone');
    // That one goes round too, and ends as the first did.
    await until(async () => (await story.client.events({ action: 'loop_cut' })).count === 2);
    const { events } = await story.client.events({ limit: 1000 });
    const count = (action: string) => events.filter((each) => each.action === action).length;
    assert.deepEqual([count('deploy_started'), count('backup_completed')], [deepest + 4, deepest + 2]);
    assert.deepEqual(await saidTwice(story), []);
    assert.deepEqual((await story.client.deadLetters()).dead_letters, []);
  });

  it('that dies of one event each time has it as a dead letter in the end, and does all the others', async (t) => {
    const story = await makeStory(t, { agents: [] });
    const { client, stand } = story;
    writeFileSync(join(stand.root, 'state', 'large'), randomBytes(manyBytes));
    await announce(story, 'poison');
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const chronos = await story.agent('chronos');
      if (attempt === 1) await announce(story, 'deploy-1');
      await until(async () => (await chronos.inHand()) === 'poison', 5);
      const gaia = await until(() => gaiaAtWork(stand), 2);
      process.kill(gaia, 'SIGSTOP');
      await chronos.kill();
      process.kill(gaia, 'SIGKILL');
    }
    await story.agent('chronos');
    const letter = await until(async () => (await client.deadLetters({ agent: 'CHRONOS' })).dead_letters[0], 100);
    assert.deepEqual([letter.event.id, letter.reason, letter.attempts], ['poison', 'attempts', maxAttempts]);
    assert.notEqual(letter.error, null);
    await announce(story, 'deploy-2');
    for (const id of ['deploy-1', 'deploy-2']) await hasCome(story, 'backup_completed', id);
    // Once what made it die is gone, a person has it done all the same.
    await client.redrive('CHRONOS', letter.id);
    await hasCome(story, 'backup_completed', 'poison');
    assert.deepEqual(await saidTwice(story), []);
  });
});

/** Announces another deployment whenever it hears that a backup was made because of one. */
const circler = `
const bus = process.env.LEVEREDGE_URL;
const call = async (path, body) => {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(bus + path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(path + ': ' + (await answer.text()));
  return answer.json();
};
await call('/subscriptions', { agent_name: 'CIRCLER', action_pattern: 'backup_completed' });
console.log('hears');
for (;;) {
  const { deliveries } = await call('/agents/CIRCLER/deliveries:claim', { wait_seconds: 20 });
  for (const { id, lease, event } of deliveries) {
    const said = { id: 'again-' + event.id, source_agent: 'CIRCLER', action: 'deploy_started', target: event.target };
    await call('/events', { ...said, causation_id: event.id });
    await call('/agents/CIRCLER/deliveries/' + id + ':ack', { lease });
  }
}
`;
