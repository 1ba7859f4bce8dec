import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { copiesIn, removeOldCopies } from './event-bus-copies.ts';

const hourMs = 3_600_000;
const scheduledName = (ms: number) => `events-${new Date(ms).toISOString().replaceAll(/[-:.]/g, '')}-scheduled.db`;
/** A Sunday evening. */
const now = Date.parse('2026-06-07T20:00:00Z');

function folder(t: TestContext, names: readonly string[] = []): string {
  const made = mkdtempSync(join(tmpdir(), 'copies-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  for (const name of names) writeFileSync(join(made, name), '');
  return made;
}

describe('Copies of the bus’ database', () => {
  it('are told by their names, newest first; what is called otherwise is none', (t) => {
    const at = folder(t, [scheduledName(now), 'events-20260101T000000000Z.db', 'events.db', 'events-x-scheduled.db']);
    assert.deepEqual(copiesIn(at), [
      { name: 'events-20260607T200000000Z-scheduled.db', atMs: now, isScheduled: true },
      { name: 'events-20260101T000000000Z.db', atMs: Date.parse('2026-01-01T00:00:00Z'), isScheduled: false },
    ]);
    assert.deepEqual(copiesIn(join(at, 'nowhere')), []);
  });

  it('go by retention where the schedule made them: the last three, of seven days, of four weeks', (t) => {
    const hourly = Array.from({ length: 24 * 60 }, (_, n) => scheduledName(now - n * hourMs));
    const own = ['events-20200101T000000000Z.db', 'notes'];
    const at = folder(t, [...hourly, ...own]);
    const gone = removeOldCopies(at, now);
    const left = copiesIn(at).filter(({ isScheduled }) => isScheduled);
    const days = left.map(({ atMs }) => new Date(atMs).toISOString().slice(5, 13));
    const ofDays = [
      '06-07T20',
      '06-07T19',
      '06-07T18',
      '06-06T23',
      '06-05T23',
      '06-04T23',
      '06-03T23',
      '06-02T23',
      '06-01T23',
    ];
    assert.deepEqual(days, [...ofDays, '05-31T23', '05-24T23', '05-17T23']);
    assert.equal(gone.length, hourly.length - left.length);
    for (const name of own) assert.ok(readdirSync(at).includes(name));
    assert.deepEqual(removeOldCopies(at, now), []);
  });

  it('stay when the clock is right again after it was ahead for weeks', (t) => {
    const ahead = Array.from({ length: 24 * 60 }, (_, n) => scheduledName(now + (n + 2) * hourMs));
    const made = [now, now - hourMs, now - 2 * hourMs].map(scheduledName);
    const at = folder(t, [...ahead, ...made]);
    assert.deepEqual(removeOldCopies(at, now), []);
    const old = scheduledName(now - 3 * hourMs);
    writeFileSync(join(at, old), '');
    assert.deepEqual(removeOldCopies(at, now), [old]);
  });

  it('never goes while it is the only one, and what a killed one has left goes after a day', (t) => {
    const only = scheduledName(now - 9000 * hourMs);
    const left = `.${only}.123.partial`;
    const at = folder(t, [only, left, `${left}-journal`]);
    for (const name of [left, `${left}-journal`]) utimesSync(join(at, name), now / 1000, now / 1000);
    removeOldCopies(at, now + 23 * hourMs);
    assert.equal(readdirSync(at).length, 3);
    removeOldCopies(at, now + 25 * hourMs);
    assert.deepEqual(readdirSync(at), [only]);
  });
});
