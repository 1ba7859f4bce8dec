import assert from 'node:assert/strict';

/** A delivery as a claim hands it over. */
export type Claimed = {
  id: string;
  lease: string;
  leased_until: string;
  attempt: number;
  priority: number;
  event: { id: string; bookmark: string; action: string };
};

type Known = {
  /** The lease this side holds, as far as it knows; undefined when it gave it back. */
  held: { lease: string; untilMs: number } | undefined;
  acknowledged: 'no' | 'yes' | 'perhaps';
};

/** What consumers were told, and what must follow from it whatever crashes. Times are the bus' own. */
export type Deliveries = {
  /** One answer to a claim. `leaseMs` as it was asked for. */
  claimed(agent: string, deliveries: readonly Claimed[], leaseMs: number): void;
  gaveBack(agent: string, event: string): void;
  extended(agent: string, event: string, untilMs: number): void;
  acknowledged(agent: string, event: string, certainty: 'yes' | 'perhaps'): void;
  isAcknowledged(agent: string, event: string): boolean;
  readonly counts: { claims: number; acknowledged: number; again: number };
};

export function knownDeliveries(): Deliveries {
  const all = new Map<string, Known>();
  const counts = { claims: 0, acknowledged: 0, again: 0 };
  const of = (agent: string, event: string): Known => {
    const key = `${agent} ${event}`;
    const known = all.get(key) ?? { held: undefined, acknowledged: 'no' };
    all.set(key, known);
    return known;
  };
  return {
    counts,
    claimed(agent, deliveries, leaseMs) {
      inOrder(deliveries);
      for (const { event, lease, leased_until } of deliveries) {
        const known = of(agent, event.id);
        const untilMs = Date.parse(leased_until);
        const atMs = untilMs - leaseMs;
        const what = `${event.id} for ${agent}`;
        assert.notEqual(known.acknowledged, 'yes', `${what} was acknowledged and given again`);
        if (known.held) {
          assert.notEqual(known.held.lease, lease, `${what} came twice under one lease`);
          assert.ok(
            atMs >= known.held.untilMs,
            `${what} was given away ${known.held.untilMs - atMs} ms before its lease ended`,
          );
          counts.again++;
        }
        known.held = { lease, untilMs };
        counts.claims++;
      }
    },
    gaveBack(agent, event) {
      of(agent, event).held = undefined;
    },
    extended(agent, event, untilMs) {
      const { held } = of(agent, event);
      if (held) held.untilMs = untilMs;
    },
    acknowledged(agent, event, certainty) {
      const known = of(agent, event);
      if (known.acknowledged !== 'yes') known.acknowledged = certainty;
      known.held = undefined;
      if (certainty === 'yes') counts.acknowledged++;
    },
    isAcknowledged: (agent, event) => of(agent, event).acknowledged === 'yes',
  };
}

/** Within one answer: the best priority first, then the oldest. */
function inOrder(deliveries: readonly Claimed[]): void {
  const places = deliveries.map(({ priority, event }) => [priority, Number(event.bookmark.split('.')[1])] as const);
  const sorted = places.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  assert.deepEqual(places, sorted, 'a claim gives the best priority first, then the oldest');
}
