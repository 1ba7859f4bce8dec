import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Place } from '../place.ts';
import { layBackup } from './catalog.fixtures.ts';
import { listBackups } from './catalog.ts';
import { fileScheduled } from './file-scheduled.ts';
import { planPrune, prune } from './prune.ts';
import { usualRetention } from './retention.ts';

const hourMs = 3_600_000;
/** A Monday, and the first day of its month. */
const monday = Date.parse('2026-06-01T03:00:00Z');
let place: Place;

beforeEach(() => {
  const home = mkdtempSync(join(tmpdir(), 'scheduled-'));
  const backups = join(home, 'backups');
  place = { home, backups, state: join(backups, '.gaia'), configFile: '', signingKey: '', publicKey: '' };
});
afterEach(() => rmSync(place.home, { recursive: true, force: true }));

type More = Parameters<typeof layBackup>[2]['more'];
const databases: More = { contents: 'databases' };
const snapshot: More = { snapshot: { engine: 'restic', id: '0'.repeat(64), set: '/set', roots: {}, added_bytes: 1 } };

/** One made at this time by the schedule, and in which buckets it is then. */
function filed(atMs: number, more: More = {}, bucket = 'hourly', end = ''): string {
  const name = end === '' ? {} : { name: `dev-${new Date(atMs).toISOString().slice(0, 10)}${end}` };
  const file = layBackup(place, 'dev', { atMs, bucket, more, ...name });
  assert.equal(fileScheduled(place, 'dev', file), undefined);
  const own = listBackups(place, ['dev']).find(({ files }) => files.includes(file));
  return (own?.files ?? [])
    .map((each) => basename(join(each, '..')))
    .sort()
    .join(' ');
}

describe('A scheduled backup', () => {
  it('is linked into the buckets whose period it is the first of', () => {
    const days = [0, 1, 24, 7 * 24, 30 * 24].map((hours) => filed(monday + hours * hourMs));
    assert.deepEqual(days, [
      'daily hourly monthly weekly',
      'hourly',
      'daily hourly',
      'daily hourly weekly',
      'daily hourly monthly weekly',
    ]);
  });

  it('is one file under each of its names, with its manifest, and one backup', () => {
    filed(monday);
    const [only, second] = listBackups(place, ['dev']);
    assert.deepEqual([only?.bucket, only?.kind, second], ['monthly', 'sound', undefined]);
    for (const file of only?.files ?? []) {
      assert.equal(statSync(file).nlink, 4);
      assert.equal(readdirSync(join(file, '..')).length, 3, 'archive, manifest and signature');
    }
  });

  it('takes the place of none that is whole when it holds databases alone, or is not sound', () => {
    assert.equal(filed(monday, databases), 'hourly');
    assert.equal(filed(monday + 1000, { degraded: ['a changed'] }), 'hourly');
    assert.equal(filed(monday + 2000), 'daily hourly monthly weekly');
  });

  it('is counted apart from others: what somebody asked for, and what lies in a repository', () => {
    layBackup(place, 'dev', { atMs: monday });
    assert.equal(filed(monday + 1000), 'daily hourly monthly weekly');
    assert.equal(filed(monday + 2000, snapshot, 'hourly', '-000000.restic'), 'daily hourly monthly weekly');
    assert.equal(filed(monday + 3000), 'hourly');
  });

  it('is in the same buckets when it is filed again, also after a part of that', () => {
    const file = layBackup(place, 'dev', { atMs: monday, bucket: 'hourly' });
    fileScheduled(place, 'dev', file);
    rmSync(join(place.backups, 'dev', 'daily', basename(file)));
    fileScheduled(place, 'dev', join(place.backups, 'dev', 'monthly', basename(file)));
    assert.equal(listBackups(place, ['dev'])[0]?.files.length, 4);
  });

  it('is a backup all the same where no link can be made', () => {
    const file = layBackup(place, 'dev', { atMs: monday, bucket: 'hourly' });
    // A file where the folder would be.
    layBackup(place, '.', { atMs: monday, name: 'dev/daily' });
    assert.match(fileScheduled(place, 'dev', file) ?? '', /lies in hourly\/ alone/);
    assert.equal(listBackups(place, ['dev'])[0]?.kind, 'sound');
  });

  it('goes with all its names, and counts as one, whatever buckets it lies in', () => {
    const names = Array.from({ length: 120 * 2 }, (_, n) => monday + n * 12 * hourMs);
    for (const atMs of names) filedShortly(atMs);
    const gone = prune(place, planPrune(place, [{ name: 'dev' }], usualRetention), monday + 121 * 24 * hourMs);
    const left = listBackups(place, ['dev']);
    assert.equal(left.length + gone.length, names.length);
    const { keepLast, hourly, daily, weekly, monthly } = usualRetention;
    assert.ok(left.length <= keepLast + hourly + daily + weekly + monthly, String(left.length));
    assert.ok(left.length >= hourly, String(left.length));
    for (const { files } of left) for (const file of files) assert.equal(statSync(file).nlink, files.length);
    for (const { files } of gone)
      for (const file of files) assert.equal(statSync(file, { throwIfNoEntry: false }), undefined);
    assert.deepEqual(prune(place, planPrune(place, [{ name: 'dev' }], usualRetention), monday + 122 * 24 * hourMs), []);
  });
});

/** Filed by what would be, since filing looks at all the others each time. */
function filedShortly(atMs: number): void {
  const file = layBackup(place, 'dev', { atMs, bucket: 'hourly' });
  if (new Date(atMs).getUTCHours() === 3) fileScheduled(place, 'dev', file);
}
