import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Rule } from '../../recovery/schedule.ts';
import { type OffsetAt, periodMs, slotAfter, slotAt } from './slots.ts';

const hourMs = 3_600_000;
const at = (text: string) => Date.parse(text);
const shown = (ms: number) => new Date(ms).toISOString().replace(':00.000Z', 'Z');

/** Clocks of a place, as the system's own database of zones has them. */
function zone(timeZone: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    ...{ hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit' },
    ...{ hour: '2-digit', minute: '2-digit', second: '2-digit' },
  });
  return (ms) => {
    const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 1, day, hour, minute, second } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
  };
}

const berlin = zone('Europe/Berlin');
const daily = (hours: number, minutes = 0): Rule => ({ every: 'day', at: hours * 60 + minutes });

/** All times of a rule from one time to another, by going from each to the next. */
function times(rule: Rule, offsetAt: OffsetAt, from: string, to: string): string[] {
  const found: string[] = [];
  for (let ms = slotAfter(rule, at(from), offsetAt); ms <= at(to); ms = slotAfter(rule, ms, offsetAt))
    found.push(shown(ms));
  return found;
}

describe('When something is due', () => {
  it('is a time of the day where the machine stands', () => {
    const winter = times(daily(3), berlin, '2026-01-10T00:00:00Z', '2026-01-12T00:00:00Z');
    assert.deepEqual(winter, ['2026-01-10T02:00Z', '2026-01-11T02:00Z']);
    const kathmandu = times(daily(3), zone('Asia/Kathmandu'), '2026-01-10T00:00:00Z', '2026-01-11T00:00:00Z');
    assert.deepEqual(kathmandu, ['2026-01-10T21:15Z']);
  });

  it('is once in the night in which the clocks leap over it, and once where they show it twice', () => {
    const spring = times(daily(2, 30), berlin, '2026-03-28T00:00:00Z', '2026-03-31T00:00:00Z');
    assert.deepEqual(spring, ['2026-03-28T01:30Z', '2026-03-29T01:30Z', '2026-03-30T00:30Z']);
    const autumn = times(daily(2, 30), berlin, '2026-10-24T00:00:00Z', '2026-10-27T00:00:00Z');
    assert.deepEqual(autumn, ['2026-10-24T00:30Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z']);
    // Half an hour, at an hour of its own; and where midnight itself is leapt over.
    const lordHowe = times(daily(2, 15), zone('Australia/Lord_Howe'), '2026-10-02T00:00:00Z', '2026-10-05T00:00:00Z');
    assert.equal(lordHowe.length, 3);
    const beirut = times(daily(0), zone('Asia/Beirut'), '2026-03-27T00:00:00Z', '2026-03-31T00:00:00Z');
    assert.deepEqual(beirut, ['2026-03-27T22:00Z', '2026-03-28T22:00Z', '2026-03-29T21:00Z', '2026-03-30T21:00Z']);
  });

  it('is a day of the week there, also where UTC has another', () => {
    const sunday: Rule = { every: 'week', day: 0, at: 30 };
    const found = times(sunday, berlin, '2026-03-20T00:00:00Z', '2026-04-06T00:00:00Z');
    assert.deepEqual(found, ['2026-03-21T23:30Z', '2026-03-28T23:30Z', '2026-04-04T22:30Z']);
  });

  it('is every so many hours of UTC, whatever the clocks do', () => {
    const found = times({ every: 'hours', hours: 6 }, berlin, '2026-03-28T23:00:00Z', '2026-03-29T13:00:00Z');
    assert.deepEqual(found, ['2026-03-29T00:00Z', '2026-03-29T06:00Z', '2026-03-29T12:00Z']);
  });

  const rules: fc.Arbitrary<Rule> = fc.oneof(
    fc.constantFrom<Rule>(...[1, 2, 3, 4, 6, 8, 12, 24].map((hours) => ({ every: 'hours' as const, hours }))),
    fc.record({ every: fc.constant('day' as const), at: fc.integer({ min: 0, max: 1439 }) }),
    fc.record({
      every: fc.constant('week' as const),
      day: fc.integer({ min: 0, max: 6 }),
      at: fc.integer({ min: 0, max: 1439 }),
    }),
  );
  const places = fc.constantFrom(
    ...['UTC', 'Europe/Berlin', 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Apia', 'Africa/Casablanca'].map(
      zone,
    ),
  );
  const moments = fc.integer({ min: at('2005-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') });

  it('has one time at or before each moment and one after it, with nothing between', () => {
    fc.assert(
      fc.property(rules, places, moments, (rule, offsetAt, now) => {
        const [last, next] = [slotAt(rule, now, offsetAt), slotAfter(rule, now, offsetAt)];
        assert.ok(last <= now && now < next);
        assert.equal(slotAt(rule, last, offsetAt), last);
        assert.equal(slotAfter(rule, last, offsetAt), next);
        assert.equal(slotAt(rule, next, offsetAt), next);
        assert.equal(slotAt(rule, next - 1, offsetAt), last);
        // A day that a place has left out is the most that clocks were ever moved here.
        assert.ok(Math.abs(next - last - periodMs(rule)) <= 24 * hourMs, `${shown(last)} ${shown(next)}`);
      }),
    );
  });

  it('shows that time on the clocks there, unless they leap over it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1439 }), moments, (minute, now) => {
        const next = slotAfter({ every: 'day', at: minute }, now, berlin);
        const wall = new Date(next + berlin(next));
        const difference = wall.getUTCHours() * 60 + wall.getUTCMinutes() - minute;
        assert.ok(difference === 0 || (difference === 60 && minute >= 120 && minute < 180), String(difference));
      }),
    );
  });
});
