import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { leftBehind, makeStand, rowsOf, type Stand } from './gaia.fixtures.ts';
import { makeResticStand, notHere } from './restic.fixtures.ts';

const buckets = ['', 'hourly', 'daily', 'weekly', 'monthly'];
const few = 'retention: { keep_last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 }\n';

/** In which folders a backup has a name; the first is the target's own. */
function placesOf({ backups }: Pick<Stand, 'backups'>, name: string): string[] {
  return buckets.filter((bucket) => statSync(join(backups, 'dev', bucket, name), { throwIfNoEntry: false }));
}

type Gaia = Pick<Stand, 'json'>;
async function scheduled(stand: Gaia, ...words: string[]): Promise<string> {
  return String((await stand.json(0, 'backup', 'dev', '--reason', 'scheduled', ...words)).name);
}

const listed = async (stand: Gaia) =>
  (await stand.json(0, 'list')).backups as { name: string; bucket: string | null; why_made: string }[];

describe('gaia backup --reason scheduled', { timeout: 120_000 }, () => {
  it('lies in hourly, and the first whole one of its day in daily, weekly and monthly too', async (t) => {
    const stand = makeStand(t);
    const databases = await scheduled(stand, '--only', 'db');
    const first = await scheduled(stand);
    const second = await scheduled(stand);
    assert.deepEqual(placesOf(stand, databases), ['hourly']);
    assert.deepEqual(placesOf(stand, first), ['hourly', 'daily', 'weekly', 'monthly']);
    const isSameDay = first.slice(0, 14) === second.slice(0, 14);
    assert.equal(placesOf(stand, second).includes('daily'), !isSameDay);
    assert.deepEqual(
      (await listed(stand)).map(({ name, bucket, why_made }) => [name, bucket, why_made]),
      [
        [second, isSameDay ? 'hourly' : 'daily', 'scheduled'],
        [first, 'monthly', 'scheduled'],
        [databases, 'hourly', 'scheduled'],
      ],
    );
    assert.deepEqual(leftBehind(stand.backups), []);
  });

  it('is verified, restored and pruned as one, whatever it is called', async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}${few}`);
    const first = await scheduled(stand);
    assert.equal((await stand.json(0, 'verify', 'latest')).state, 'sound');
    assert.equal((await stand.json(0, 'verify', join(stand.backups, 'dev/daily', first))).state, 'sound');
    writeFileSync(join(stand.root, 'notes'), 'another\n');
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 0);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    assert.equal(rowsOf(stand.database), 10);
    const second = await scheduled(stand);
    await stand.json(0, 'pin', first);
    assert.deepEqual((await stand.json(0, 'prune', '--yes')).trashed, []);
    await stand.json(0, 'unpin', first);
    assert.deepEqual((await stand.json(0, 'prune', '--yes')).trashed, [first]);
    assert.deepEqual(placesOf(stand, first), []);
    assert.deepEqual(
      (await listed(stand)).map(({ name }) => name),
      [second],
    );
    const trash = readdirSync(join(stand.backups, '.gaia/trash'), { recursive: true, encoding: 'utf8' });
    assert.equal(trash.filter((name) => name.endsWith(first)).length, 4);
    assert.equal((await stand.json(0, 'verify', 'latest')).name, second);
  });

  it('is made once for its cause, and filed by whoever comes after one that was killed', async (t) => {
    const stand = makeStand(t);
    const first = await scheduled(stand, '--cause', 'slot-1');
    for (const bucket of ['daily', 'monthly']) rmSync(join(stand.backups, 'dev', bucket, first));
    assert.equal(await scheduled(stand, '--cause', 'slot-1'), first);
    assert.deepEqual(placesOf(stand, first), ['hourly', 'daily', 'weekly', 'monthly']);
    assert.equal((await listed(stand)).length, 1);
  });
});

const missing = notHere('restic');

describe('the same in a repository of restic', { skip: missing !== undefined, timeout: 120_000 }, () => {
  it('is where the text lies that stands for it, and one snapshot', async (t) => {
    const stand = makeResticStand(t);
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}${few}`);
    const first = await scheduled(stand);
    assert.deepEqual(placesOf(stand, first), ['hourly', 'daily', 'weekly', 'monthly']);
    const { backups } = (await stand.json(0, 'repository', 'list')) as { backups: { name: string; known: boolean }[] };
    assert.deepEqual(
      backups.map(({ name, known }) => [name, known]),
      [[first, true]],
    );
    assert.deepEqual((await stand.json(0, 'repository', 'fetch')).fetched, []);
    const second = await scheduled(stand);
    assert.deepEqual((await stand.json(0, 'prune', '--yes')).trashed, [first]);
    assert.equal((await stand.json(0, 'verify', 'latest')).name, second);
  });
});
