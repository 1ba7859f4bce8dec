import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { call, type Reply } from '../crash/call.ts';
import type { Random } from '../crash/random.ts';
import { type Claimed, knownDeliveries } from './deliveries.ts';

/** Agents of this test: what each hears, and with which priority. All hear by queue. */
export const hears = {
  FIRST: { 'red_*': 1, 'blue_*': 7 },
  SECOND: { '*': 4 },
} as const satisfies Record<string, Record<string, number>>;
export type Agent = keyof typeof hears;
const agents = Object.keys(hears) as Agent[];
const actions = ['red_seen', 'blue_seen', 'green_seen'];
const publishers = 3;
const consumersOfEach = 3;
const leaseSeconds = 30;

export type Sent = { id: string; action: string };
type Draft = { source_agent: string; action: string; id: string; details: object };

/** Everybody who works against the bus at once, through any number of its lives. */
export function crewOf(random: Random) {
  const known = knownDeliveries();
  const published = new Map<string, Sent>();
  const unanswered: (Draft[] | undefined)[] = [];
  const counts = { late: 0, back: 0, extended: 0, abandoned: 0, redriven: 0, purges: 0 };
  let count = 0;
  let url = '';
  let isWorking = false;
  let crew: Promise<void>[] = [];

  const post = (path: string, body?: unknown) => call(url, 'POST', path, body);

  async function publish(worker: number): Promise<void> {
    const again = unanswered[worker];
    const drafts = again ?? Array.from({ length: random.chance(0.3) ? random.whole(2, 20) : 1 }, () => draftOf(worker));
    unanswered[worker] = drafts;
    const isBatch = drafts.length > 1;
    const reply = await post(isBatch ? '/events:batch' : '/events', isBatch ? drafts : drafts[0]);
    if (reply === undefined) return;
    unanswered[worker] = undefined;
    assert.ok(reply.status === 201 || reply.status === 200, JSON.stringify(reply));
    if (isBatch) assert.equal((reply.body as { refused: number }).refused, 0, JSON.stringify(reply.body));
    for (const { id, action } of drafts) published.set(id, { id, action });
  }

  function draftOf(worker: number): Draft {
    const action = random.pick(actions) as string;
    return { source_agent: `P${worker}`, action, id: `m-${++count}`, details: { count } };
  }

  async function consume(agent: Agent): Promise<void> {
    const max = random.pick([1, 1, 5, 20]) as number;
    const claim = { max, lease_seconds: leaseSeconds, wait_seconds: random.chance(0.2) ? 1 : 0 };
    const reply = await post(`/agents/${agent}/deliveries:claim`, claim);
    if (reply === undefined) return;
    assert.equal(reply.status, 200, JSON.stringify(reply));
    const { deliveries } = reply.body as { deliveries: Claimed[] };
    known.claimed(agent, deliveries, leaseSeconds * 1000);
    for (const delivery of deliveries) await settle(agent, delivery);
  }

  async function settle(agent: Agent, delivery: Claimed): Promise<void> {
    const fate = random.next();
    if (fate < 0.1) {
      counts.abandoned++;
      return;
    }
    if (fate < 0.25) return giveBack(agent, delivery);
    if (fate < 0.35) await extend(agent, delivery);
    if (fate > 0.95) await pause(random.whole(5, 40));
    await acknowledge(agent, delivery);
  }

  const verb = (agent: Agent, { id }: Claimed, name: string, body: object) =>
    post(`/agents/${agent}/deliveries/${id}:${name}`, body);

  async function acknowledge(agent: Agent, delivery: Claimed): Promise<void> {
    const { event, lease } = delivery;
    const reply = await verb(agent, delivery, 'ack', { lease });
    if (reply === undefined) return known.acknowledged(agent, event.id, 'perhaps');
    if (reply.status === 409 || isPurged(reply, event)) return lateFor(reply);
    assert.equal(reply.status, 200, JSON.stringify(reply));
    known.acknowledged(agent, event.id, 'yes');
  }

  async function giveBack(agent: Agent, delivery: Claimed): Promise<void> {
    const { event, lease } = delivery;
    const how = random.pick([{}, { delay_seconds: 0 }, { delay_seconds: 20 }, { reason: 'not now' }, { dead: true }]);
    const reply = await verb(agent, delivery, 'nack', { lease, ...how });
    // Sent and never answered: it may be anybody's now.
    if (reply === undefined) return known.gaveBack(agent, event.id);
    if (reply.status === 409 || isPurged(reply, event)) return lateFor(reply);
    assert.equal(reply.status, 200, JSON.stringify(reply));
    known.gaveBack(agent, event.id);
    counts.back++;
  }

  async function extend(agent: Agent, delivery: Claimed): Promise<void> {
    const { event, lease } = delivery;
    const reply = await verb(agent, delivery, 'extend', { lease, lease_seconds: 60 });
    if (reply === undefined) return;
    if (reply.status === 409 || isPurged(reply, event)) return lateFor(reply);
    assert.equal(reply.status, 200, JSON.stringify(reply));
    known.extended(agent, event.id, Date.parse((reply.body as { leased_until: string }).leased_until));
    counts.extended++;
  }

  /** A lease that had run out, and then retention took the event and all that was owed of it. */
  const isPurged = ({ status }: Reply, { action }: Claimed['event']) => status === 404 && action.startsWith('green');

  function lateFor({ status, body }: Reply): void {
    if (status === 409) assert.match((body as { type: string }).type, /lease-lost$/);
    counts.late++;
  }

  async function tidy(): Promise<void> {
    await pause(random.whole(20, 120));
    if (random.chance(0.3) && (await post('/retention:run'))?.status === 200) counts.purges++;
    const reply = await post('/dead-letters:redrive', {});
    if (reply?.status === 200) counts.redriven += (reply.body as { redriven: number }).redriven;
  }

  async function work(job: () => Promise<void>): Promise<void> {
    while (isWorking) await job();
  }

  return {
    known,
    published: published as ReadonlyMap<string, Sent>,
    counts,
    async subscribe(to: string): Promise<void> {
      url = to;
      for (const agent of agents)
        for (const [action_pattern, priority] of Object.entries(hears[agent]))
          assert.equal((await post('/subscriptions', { agent_name: agent, action_pattern, priority }))?.status, 201);
    },
    run(at: string): void {
      url = at;
      isWorking = true;
      crew = [
        ...Array.from({ length: publishers }, (_, worker) => work(() => publish(worker))),
        ...agents.flatMap((agent) => Array.from({ length: consumersOfEach }, () => work(() => consume(agent)))),
        work(tidy),
      ];
    },
    async stop(): Promise<void> {
      isWorking = false;
      await Promise.all(crew);
    },
    /** Takes everything there is for good, in order. Answers how many that were. */
    async drain(at: string): Promise<number> {
      url = at;
      let drained = 0;
      await post('/dead-letters:redrive', {});
      for (const agent of agents)
        for (;;) {
          const reply = await post(`/agents/${agent}/deliveries:claim`, { max: 100, lease_seconds: leaseSeconds });
          assert.equal(reply?.status, 200, JSON.stringify(reply));
          const { deliveries } = reply.body as { deliveries: Claimed[] };
          known.claimed(agent, deliveries, leaseSeconds * 1000);
          for (const delivery of deliveries) await acknowledge(agent, delivery);
          drained += deliveries.length;
          if (deliveries.length === 0) break;
        }
      return drained;
    },
  };
}
