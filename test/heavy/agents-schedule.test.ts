import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { outboxState, putIntoOutbox } from '../../src/recovery/events/outbox.ts';
import { leftBehind, type Stand } from '../recovery/gaia.fixtures.ts';
import { announce, gaiaAtWork, happened, hasCome, makeStory, type Story, until } from './story.fixtures.ts';

/** Enough that a backup takes longer than it takes to stop it in the middle. */
const manyBytes = 12 * 1024 * 1024;
const atOnce = { CHRONOS_BEGINS_AFTER_MS: '1' };
const backupsAlone = 'schedule: { drill: off, verify: off, prune: off, event_bus: off }\n';

/** What the bus has heard of backups, oldest first. */
const told = async (story: Story) =>
  (await happened(story))
    .filter(({ action }) => action.startsWith('backup_'))
    .map(
      ({ source_agent, action, target, details }) => `${source_agent} ${action} ${target} ${details?.contents ?? ''}`,
    );

/** Backups of dev by their causes, each once, whatever buckets they lie in. */
function causes({ backups }: Stand): string[] {
  const names = readdirSync(join(backups, 'dev'), { recursive: true, encoding: 'utf8' });
  const manifests = names.filter((name) => name.endsWith('.manifest.json') && !name.includes('/.'));
  const all = manifests.map((name) => JSON.parse(readFileSync(join(backups, 'dev', name), 'utf8')));
  return [...new Map(all.map(({ name, cause }) => [name, String(cause)])).values()].sort();
}

/** The backup of the schedule that has just begun, which stands still. */
async function inTheMiddle({ stand }: Story): Promise<number> {
  const pid = await until(() => gaiaAtWork(stand), 2);
  process.kill(pid, 'SIGSTOP');
  assert.equal(gaiaAtWork(stand), pid);
  return pid;
}

const doneBy = async (story: Story) => (await hasCome(story, 'backup_completed')).details?.backup;

describe('CHRONOS by its schedule, on a bus', { timeout: 120_000, concurrency: 2 }, () => {
  it('makes one backup and tells of it once when it is killed in the middle and GAIA goes on', async (t) => {
    const story = await makeStory(t, { agents: [], schedule: backupsAlone });
    writeFileSync(join(story.stand.root, 'large'), randomBytes(manyBytes));
    const first = await story.agent('chronos', atOnce);
    const gaia = await inTheMiddle(story);
    await first.kill();
    await story.agent('chronos', atOnce);
    process.kill(gaia, 'SIGCONT');
    const name = await doneBy(story);
    const third = await story.agent('chronos', atOnce);
    await third.kill();
    assert.equal(causes(story.stand).length, 1);
    assert.match(String(causes(story.stand)), /^schedule:dev:whole:/);
    assert.deepEqual(await told(story), ['CHRONOS backup_completed dev whole']);
    assert.equal((await story.stand.json(0, 'verify', 'latest')).name, name);
  });

  it('makes one backup and tells of it once when both are killed in the middle', async (t) => {
    const story = await makeStory(t, { agents: [], schedule: backupsAlone });
    writeFileSync(join(story.stand.root, 'large'), randomBytes(manyBytes));
    const first = await story.agent('chronos', atOnce);
    const gaia = await inTheMiddle(story);
    await first.kill();
    process.kill(gaia, 'SIGKILL');
    await story.agent('chronos', atOnce);
    await doneBy(story);
    assert.equal(causes(story.stand).length, 1);
    assert.deepEqual(leftBehind(join(story.stand.backups, 'dev')), []);
    assert.deepEqual(await told(story), ['CHRONOS backup_completed dev whole']);
  });

  it('tells of a backup that GAIA has finished after it was killed, without making another', async (t) => {
    const story = await makeStory(t, { agents: [], schedule: backupsAlone });
    writeFileSync(join(story.stand.root, 'large'), randomBytes(manyBytes));
    const first = await story.agent('chronos', atOnce);
    const gaia = await inTheMiddle(story);
    await first.kill();
    process.kill(gaia, 'SIGCONT');
    await until(() => gaiaAtWork(story.stand) === undefined);
    assert.deepEqual(await told(story), []);
    await story.agent('chronos', atOnce);
    await doneBy(story);
    assert.equal(causes(story.stand).length, 1);
  });

  it('makes nothing that is there, lets an announced change have its backup, and delivers what GAIA has left', async (t) => {
    const story = await makeStory(t, { agents: ['chronos'], schedule: backupsAlone });
    const { stand } = story;
    const place = { state: join(stand.backups, '.gaia') };
    await story.killBus();
    // As GAIA does while no bus is there.
    await stand.json(0, 'backup', 'dev');
    const details = { happened_at: '2026-01-01T00:00:00.000Z' };
    putIntoOutbox(place, { id: 'gaia-left', source_agent: 'GAIA', action: 'drill_completed', target: 'dev', details });
    assert.equal(outboxState(place).waiting, 2);
    await story.startBus();
    // Nobody calls gaia.
    await story.agent('chronos', atOnce);
    await hasCome(story, 'drill_completed');
    await until(() => outboxState(place).waiting === 0);
    await announce(story, 'deploy-1');
    await hasCome(story, 'backup_completed', 'deploy-1');
    assert.deepEqual(causes(stand), ['deploy-1', 'undefined'], 'what somebody has made is not made again');
  });

  it('copies the database of the bus, and shows what is next', async (t) => {
    const story = await makeStory(t, {
      agents: [],
      schedule: 'schedule: { drill: off, verify: off, whole: off, databases: off }\n',
    });
    await story.agent('chronos', atOnce);
    const { details, target } = await hasCome(story, 'backup_completed');
    assert.equal(target, 'event-bus');
    assert.ok(Number(details?.bytes) > 0);
    assert.equal(typeof details?.events, 'number');
    assert.match(String(details?.backup), /^events-\d{8}T\d{9}Z-scheduled\.db$/);
    assert.deepEqual(readdirSync(join(story.stand.home, 'shared/backups/event-bus')), [details?.backup]);
    const { exit, stdout, stderr } = await story.leveredge('chronos', 'schedule', '--url', story.url);
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /^event-bus\tcopy\thourly\t2\S+\t2\S+\tok$/m);
    const wrong = await story.leveredge('chronos', 'schedule', '--target', 'devv', '--url', story.url);
    assert.match(wrong.stderr, /knows no target devv\.\s+There are: dev, event-bus/);
  });
});
