import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bucketsFor, decide, type Kept, type RetentionPolicy, usualRetention } from './retention.ts';

const hourMs = 3_600_000;
const start = Date.parse('2026-01-01T00:00:00Z');

const counts = fc.integer({ min: 0, max: 5 });
const policies: fc.Arbitrary<RetentionPolicy> = fc.record({
  keepLast: fc.integer({ min: 1, max: 5 }),
  hourly: counts,
  daily: counts,
  weekly: counts,
  monthly: counts,
});
const several: fc.Arbitrary<Kept[]> = fc
  .array(
    fc.record({
      atMs: fc.integer({ min: 0, max: 2000 }).map((n) => start + n * (hourMs / 2)),
      kind: fc.constantFrom('sound' as const, 'sound' as const, 'sound' as const, 'other' as const),
      pinned: fc.nat({ max: 9 }).map((n) => n === 0),
      drilledMs: fc.option(fc.integer({ min: start, max: start * 2 }), { nil: undefined, freq: 8 }),
    }),
    { maxLength: 60 },
  )
  .map((all) => all.map((each, n) => ({ ...each, name: `dev-${String(n).padStart(3, '0')}` })));

const keptOf = (all: readonly Kept[], policy: RetentionPolicy) =>
  decide(all, policy)
    .filter(({ keep }) => keep)
    .map(({ backup }) => backup);
const names = (all: readonly Kept[]) => all.map(({ name }) => name).sort();

describe('Retention', () => {
  it('keeps what an independent model keeps', () => {
    fc.assert(
      fc.property(several, policies, (all, policy) => assert.deepEqual(names(keptOf(all, policy)), model(all, policy))),
    );
  });

  it('keeps the last ones, the newest, the drilled, the pinned, and what is not its own', () => {
    fc.assert(
      fc.property(several, policies, fc.nat(), (all, policy, which) => {
        const pinned = all.map((each, n) => ({ ...each, pinned: n === which % (all.length || 1) }));
        const kept = new Set(names(keptOf(pinned, policy)));
        const sound = pinned.filter(({ kind }) => kind === 'sound');
        assert.ok(sound.filter(({ name }) => kept.has(name)).length >= Math.min(policy.keepLast, sound.length));
        for (const { name, kind, pinned: isPinned } of pinned)
          if (isPinned || kind === 'other') assert.ok(kept.has(name), name);
        const drills = pinned.map(({ drilledMs }) => drilledMs ?? 0);
        const last = pinned.find(({ drilledMs }) => drilledMs !== undefined && drilledMs === Math.max(...drills));
        if (last !== undefined && drills.filter((at) => at === last.drilledMs).length === 1)
          assert.ok(kept.has(last.name));
      }),
    );
  });

  it('has nothing more to remove once it has removed', () => {
    fc.assert(
      fc.property(several, policies, (all, policy) => {
        const kept = keptOf(all, policy);
        assert.deepEqual(names(keptOf(kept, policy)), names(kept));
      }),
    );
  });

  it('never wants back what it removed when a newer backup comes', () => {
    fc.assert(
      fc.property(several, policies, (all, policy) => {
        const kept = new Set(names(keptOf(all, policy)));
        const newer: Kept = {
          name: 'dev-999',
          atMs: start + 3000 * hourMs,
          kind: 'sound',
          pinned: false,
          drilledMs: undefined,
        };
        for (const { name } of keptOf([...all, newer], policy)) assert.ok(name === newer.name || kept.has(name), name);
      }),
    );
  });

  it('says why, for everything', () => {
    fc.assert(
      fc.property(several, policies, (all, policy) =>
        assert.ok(decide(all, policy).every(({ reasons }) => reasons.length > 0)),
      ),
    );
  });

  it('keeps hours, days, weeks and months of a year of hourly backups', () => {
    const year = Array.from({ length: 365 * 24 }, (_, n) => ({
      name: String(n).padStart(5, '0'),
      atMs: start + n * hourMs,
      kind: 'sound' as const,
      pinned: false,
      drilledMs: undefined,
    }));
    const kept = keptOf(year, usualRetention);
    // 24 hours; of 7 days one is within them, as of weeks and months; 2 days end a week or a month as well.
    assert.ok(kept.length >= 24 + 6 + 3 + 11 - 3 && kept.length <= 24 + 7 + 4 + 12, String(kept.length));
  });

  it('begins a week on Monday', () => {
    const at = (text: string) => Date.parse(text);
    assert.deepEqual(bucketsFor(at('2026-01-12T00:00:00Z'), [at('2026-01-11T23:59:59Z')]), [
      'hourly',
      'daily',
      'weekly',
    ]);
    assert.deepEqual(bucketsFor(at('2026-01-11T23:59:59Z'), [at('2026-01-05T00:00:00Z')]), ['hourly', 'daily']);
    assert.deepEqual(bucketsFor(start, []), ['hourly', 'daily', 'weekly', 'monthly']);
  });
});

/** By calendar arithmetic on dates, one backup against all others. */
function model(all: readonly Kept[], policy: RetentionPolicy): string[] {
  const sound = all.filter(({ kind }) => kind === 'sound');
  const isNewer = (a: Kept, b: Kept) => a.atMs > b.atMs || (a.atMs === b.atMs && a.name > b.name);
  const week = (at: number) => {
    const date = new Date(at);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  };
  const of: [number, (at: number) => unknown][] = [
    [policy.hourly, (at) => Math.floor(at / hourMs)],
    [policy.daily, (at) => Math.floor(at / hourMs / 24)],
    [policy.weekly, week],
    [policy.monthly, (at) => new Date(at).getUTCFullYear() * 12 + new Date(at).getUTCMonth()],
  ];
  const drilled = all.filter(({ drilledMs }) => drilledMs !== undefined);
  const lastDrill = drilled.filter((a) => !drilled.some((b) => (b.drilledMs ?? 0) > (a.drilledMs ?? 0)));
  const proven = lastDrill.find((a) => !lastDrill.some((b) => isNewer(b, a)));
  return names(
    all.filter((one) => {
      if (one.kind !== 'sound' || one.pinned || one === proven) return true;
      const newer = sound.filter((other) => isNewer(other, one));
      if (newer.length < policy.keepLast) return true;
      return of.some(
        ([count, period]) =>
          new Set(newer.map(({ atMs }) => period(atMs))).size < count &&
          !newer.some(({ atMs }) => period(atMs) === period(one.atMs)),
      );
    }),
  );
}
