import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { Status } from '../../../events/event.ts';
import { aFact, aSubscription, type TestClock, tempFolder, testClock } from '../store.fixtures.ts';
import type { Commit, Store } from '../store.ts';
import { openSqliteStore } from './open.ts';

const maxAttempts = 3;
const rules = { maxAttempts, expireDays: 0 };
const second = 1000;
const whole = { limit: 1000 };

/** Who hears what by queue, and at which priority; nobody hears what the bus says of failures. */
const hears: Record<string, Record<string, number>> = { A: { one: 5, two: 1, three: 5 }, B: { one: 3, three: 9 } };
const agents = Object.keys(hears);

/** One delivery, kept in the plainest way. */
type Owed = {
  seq: number;
  agent: string;
  priority: number;
  attempts: number;
  state: 'ready' | 'leased' | 'deferred' | 'dead' | 'acknowledged' | 'discarded';
  lease: string;
  /** The end of the lease, or when it is due. */
  until: number;
};
/** What somebody claimed once, and may still come with, however late. */
type Ticket = { owed: Owed; id: string; lease: string };

class Model {
  owed: Owed[] = [];
  tickets: Ticket[] = [];
  events: { id: string; seq: number; status: Status }[] = [];
  deaths = 0;

  settle(now: number): void {
    for (const o of this.owed) {
      if (o.state === 'leased' && o.until <= now) this.failed(o);
      if (o.state === 'deferred' && o.until <= now) o.state = 'ready';
    }
  }
  failed(o: Owed): void {
    if (o.attempts >= maxAttempts) this.die(o);
    else o.state = 'ready';
  }
  die(o: Owed): void {
    o.state = 'dead';
    this.deaths += 1;
    const event = this.eventOf(o);
    if (event.status === 'pending') event.status = 'failed';
  }
  /** What was dead moves its event; what was owed moves it only while nothing died. */
  moved(o: Owed, wasDead: boolean): void {
    const event = this.eventOf(o);
    if (event.status !== (wasDead ? 'failed' : 'pending')) return;
    const states = this.owed.filter(({ seq }) => seq === o.seq).map(({ state }) => state);
    const isOwed = states.some((state) => ['ready', 'leased', 'deferred'].includes(state));
    event.status = states.includes('dead') ? 'failed' : isOwed ? 'pending' : 'acknowledged';
  }
  eventOf({ seq }: Owed) {
    return this.events.find((event) => event.seq === seq) as (typeof this.events)[number];
  }
  of(agent: string, state: Owed['state']): Owed[] {
    return this.owed.filter((o) => o.agent === agent && o.state === state);
  }
  holds({ owed, lease }: Ticket, now: number): boolean {
    return owed.state === 'leased' && owed.lease === lease && now < owed.until;
  }
}

/** `heard`: what the last step's commits told. */
type Real = { store: Store; clock: TestClock; file: string; heard: Pick<Commit, 'readyFor' | 'endedLeases'>[] };
const agent = fc.constantFrom(...agents);
const ms = fc.constantFrom(second, 5 * second, 60 * second);
const nth = fc.nat(200);

const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('publish' as const),
      action: fc.constantFrom('one', 'two', 'three'),
      later: fc.constantFrom(null, null, null, -second, 3 * second),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('claim' as const), agent, max: fc.integer({ min: 1, max: 4 }), ms }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('ack' as const), nth }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('nack' as const),
      nth,
      delayMs: fc.constantFrom(null, 0, 2 * second),
      dead: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('extend' as const), nth, ms }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('release' as const), nth }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('acknowledge' as const), nth, agent }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('redrive' as const), nth }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('redrive-all' as const), agent: fc.constantFrom(undefined, 'A') }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('discard' as const), nth }) },
  {
    weight: 5,
    arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(1, second, 4 * second, 61 * second) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('reopen' as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

async function open(clock: TestClock, file: string): Promise<Store> {
  return openSqliteStore({ file, clock: clock.read, rules });
}

async function setUp(clock: TestClock, file: string): Promise<Store> {
  const store = await open(clock, file);
  for (const { id } of await store.subscriptions({ deleted: false })) await store.deleteSubscription(id);
  for (const [agent_name, actions] of Object.entries(hears))
    for (const [action_pattern, priority] of Object.entries(actions))
      await store.addSubscription(aSubscription({ agent_name, action_pattern, priority }), 'operator');
  return store;
}

type Step<O extends Operation['op']> = (model: Model, real: Real, o: Extract<Operation, { op: O }>) => Promise<void>;
const steps: { [O in Operation['op']]: Step<O> } = {
  async publish(model, { store, clock }, { action, later }) {
    const deliver_at = later === null ? null : new Date(clock.now + later).toISOString();
    const published = await store.publish(aFact({ action, deliver_at }));
    assert.ok(published.kind === 'stored');
    const { id, seq } = published.receipt;
    model.events.push({ id, seq, status: 'pending' });
    const state = later !== null && later > 0 ? 'deferred' : 'ready';
    const until = clock.now + (later ?? 0);
    for (const by of agents) {
      const priority = hears[by]?.[action];
      if (priority !== undefined) model.owed.push({ seq, agent: by, priority, attempts: 0, state, lease: '', until });
    }
  },
  async claim(model, { store, clock }, { agent: by, max, ms: leaseMs }) {
    model.settle(clock.now);
    const expected = model
      .of(by, 'ready')
      .sort((a, b) => a.priority - b.priority || a.seq - b.seq)
      .slice(0, max);
    const deliveries = await store.claim(by, { max, leaseMs });
    assert.deepEqual(
      deliveries.map((d) => [d.event.bookmark.split('.')[1], d.priority, d.attempt, d.leasedUntil]),
      expected.map((o) => [`${o.seq}`, o.priority, o.attempts + 1, new Date(clock.now + leaseMs).toISOString()]),
    );
    for (const [i, owed] of expected.entries()) {
      const { id, lease } = deliveries[i] as (typeof deliveries)[number];
      Object.assign(owed, { state: 'leased', lease, attempts: owed.attempts + 1, until: clock.now + leaseMs });
      model.tickets.push({ owed, id, lease });
    }
  },
  async ack(model, { store, clock }, o) {
    const ticket = pick(model.tickets, o.nth);
    if (!ticket) return;
    const { owed, id, lease } = ticket;
    const holds = model.holds(ticket, clock.now);
    const again = owed.state === 'acknowledged' && owed.lease === lease;
    const { kind } = await store.ack(owed.agent, id, lease);
    assert.equal(kind, holds || again ? 'acknowledged' : 'lease-lost');
    if (!holds) return;
    owed.state = 'acknowledged';
    model.moved(owed, false);
  },
  async nack(model, { store, clock }, { nth: n, delayMs, dead }) {
    const ticket = pick(model.tickets, n);
    if (!ticket) return;
    const { owed, id, lease } = ticket;
    const outcome = await store.nack(owed.agent, id, lease, { delayMs, dead, reason: null });
    if (!model.holds(ticket, clock.now)) return assert.equal(outcome.kind, 'lease-lost');
    const wait = delayMs ?? second * 2 ** (owed.attempts - 1);
    if (dead || owed.attempts >= maxAttempts) model.die(owed);
    else owed.state = wait > 0 ? 'deferred' : 'ready';
    owed.until = clock.now + wait;
    assert.equal(outcome.kind, owed.state);
  },
  async extend(model, { store, clock }, { nth: n, ms: leaseMs }) {
    const ticket = pick(model.tickets, n);
    if (!ticket) return;
    const holds = model.holds(ticket, clock.now);
    const { kind } = await store.extend(ticket.owed.agent, ticket.id, ticket.lease, leaseMs);
    assert.equal(kind, holds ? 'extended' : 'lease-lost');
    if (holds) ticket.owed.until = clock.now + leaseMs;
  },
  async release(model, { store }, o) {
    const ticket = pick(model.tickets, o.nth);
    if (!ticket) return;
    const held = model.of(ticket.owed.agent, 'leased').filter(({ lease }) => lease === ticket.lease);
    assert.equal(await store.release(ticket.owed.agent, ticket.lease), held.length);
    for (const owed of held) model.failed(owed);
  },
  async acknowledge(model, { store }, { nth: n, agent: by }) {
    const event = pick(model.events, n);
    if (!event) return;
    assert.equal((await store.acknowledge(event.id, by)).kind, 'acknowledged');
    const owed = model.owed.find((o) => o.seq === event.seq && o.agent === by);
    if (!owed || owed.state === 'discarded' || owed.state === 'acknowledged') return;
    const wasDead = owed.state === 'dead';
    Object.assign(owed, { state: 'acknowledged', lease: '' });
    model.moved(owed, wasDead);
  },
  async redrive(model, { store }, { nth: n }) {
    const owed = pick(model.owed, n);
    if (!owed) return;
    const { kind } = await store.redrive(owed.agent, `${owed.seq}-${owed.priority}`);
    assert.equal(kind, owed.state === 'dead' ? 'redriven' : 'unknown');
    if (owed.state === 'dead') redriven(model, owed);
  },
  async 'redrive-all'(model, { store }, { agent: by }) {
    const dead = model.owed.filter((o) => o.state === 'dead' && (by === undefined || o.agent === by));
    assert.equal(await store.redriveAll({ agent: by }), dead.length);
    for (const owed of dead) redriven(model, owed);
  },
  async discard(model, { store }, { nth: n }) {
    const owed = pick(model.owed, n);
    if (!owed) return;
    const { kind } = await store.discard(owed.agent, `${owed.seq}-${owed.priority}`);
    assert.equal(kind, owed.state === 'dead' ? 'discarded' : 'unknown');
    if (owed.state === 'dead') owed.state = 'discarded';
  },
  async wait(_model, { clock }, o) {
    clock.now += o.ms;
  },
  async sweep(model, { store, clock }) {
    model.settle(clock.now);
    const { nextDueAt } = await store.sweep();
    const due = model.owed.filter((o) => o.state === 'leased' || o.state === 'deferred').map((o) => o.until);
    assert.equal(nextDueAt, due.length > 0 ? Math.min(...due) : null);
  },
  async reopen(_model, real) {
    await real.store.close();
    real.store = await open(real.clock, real.file);
    listen(real);
  },
};

function redriven(model: Model, owed: Owed): void {
  Object.assign(owed, { state: 'ready', attempts: 0 });
  model.moved(owed, true);
}

function listen(real: Real): void {
  real.store.onCommitted(({ readyFor, endedLeases }) => real.heard.push({ readyFor, endedLeases }));
}

/** Runs a step, and holds what its commits told against what changed. */
async function take(model: Model, real: Real, o: Operation): Promise<void> {
  real.heard = [];
  const before = model.owed.map((owed) => ({ ...owed }));
  await (steps[o.op] as Step<Operation['op']>)(model, real, o as never);
  const became = model.owed.filter((owed, i) => owed.state === 'ready' && before[i]?.state !== 'ready');
  const told = new Set(real.heard.flatMap(({ readyFor }) => readyFor));
  for (const owed of became) assert.ok(told.has(owed.agent), `${o.op}: ${owed.agent} is told`);
  const ended = before.filter((was, i) => {
    const now = model.owed[i] as Owed;
    return was.state === 'leased' && (now.state !== 'leased' || now.lease !== was.lease);
  });
  assert.deepEqual(
    real.heard.flatMap(({ endedLeases }) => endedLeases).sort(),
    ended.map(({ lease }) => lease).sort(),
    o.op,
  );
}

function pick<T>(items: readonly T[], n: number): T | undefined {
  // The newest are the likeliest to matter.
  return items.at(-1 - (n % Math.max(1, items.length)));
}

/** Everything that can be asked must be as the model has it. */
async function compare(model: Model, { store }: Real): Promise<void> {
  const open = model.owed.filter(({ state }) => ['ready', 'leased', 'deferred'].includes(state));
  const dead = model.owed.filter(({ state }) => state === 'dead');
  const stats = await store.stats();
  assert.deepEqual([stats.openDeliveries, stats.deadLetters], [open.length, dead.length]);
  const letters = (await store.deadLetters({}, whole)).deadLetters.map((d) => `${d.agent} ${d.id}`);
  assert.deepEqual(letters.sort(), dead.map((o) => `${o.agent} ${o.seq}-${o.priority}`).sort());
  for (const by of agents) {
    const owed = [...open, ...dead].filter((o) => o.agent === by).map((o) => o.seq);
    const inbox = (await store.inbox(by, true, whole)).events.map((e) => Number(e.bookmark.split('.')[1]));
    assert.deepEqual(
      inbox,
      owed.sort((a, b) => b - a),
    );
  }
  const said = (await store.events({ action: 'delivery_failed' }, whole)).events;
  assert.equal(said.length, model.deaths, 'each death is told once');
  for (const { id, status } of model.events) assert.equal((await store.event(id))?.status, status);
}

async function runs(t: TestContext, numRuns: number, maxLength: number): Promise<void> {
  const folder = tempFolder(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength, size: 'max' }), async (operations) => {
      const clock = testClock();
      const file = join(folder, `${run++}.db`);
      const real: Real = { store: await setUp(clock, file), clock, file, heard: [] };
      listen(real);
      const model = new Model();
      try {
        for (const o of operations) await take(model, real, o);
        await take(model, real, { op: 'sweep' });
        await compare(model, real);
      } finally {
        await real.store.close();
      }
    }),
    { numRuns },
  );
}

describe('deliveries against a model', () => {
  it('agree after any interleaving of claims, settlements, time, redrives and restarts', async (t) => {
    await runs(t, 40, 80);
  });
});
