import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { maxCountedDeliveries, saysOf } from '../../events/heartbeat.ts';
import { type Heartbeat, maxKeptAgents } from './heartbeats.ts';
import { aFact, aSubscription, stored } from './store.fixtures.ts';
import type { Store } from './store.ts';
import type { Fresh } from './store-questions.contract.ts';

function aHeartbeat(fields: Partial<Heartbeat> = {}): Heartbeat {
  const says = saysOf({ version: '1.0', working_on: "it's; DROP", handled: 3 });
  return { agent: 'CHRONOS "é"', state: 'alive', everySeconds: 10, at: 1_700_000_000_000, says, ...fields };
}

/** What the bus said of agents, oldest first. */
async function told(store: Store) {
  const { events } = await store.events({ source_agent: 'EVENT-BUS' }, { limit: 100 });
  return events.reverse().map(({ action, target, details }) => ({ action, target, details }));
}

/** What every store promises about heartbeats. */
export function testHeartbeats(driver: string, fresh: Fresh): void {
  describe(`${driver} store: heartbeats`, () => {
    it('keeps the last heartbeat of each agent, as it was given', async (t) => {
      const { store, again } = await fresh(t);
      assert.deepEqual(await store.heartbeats(), []);
      const first = aHeartbeat();
      const other = aHeartbeat({ agent: 'ADA', state: 'stopped', everySeconds: null, says: saysOf({}) });
      for (const each of [aHeartbeat({ at: 1 }), first, other])
        assert.deepEqual(await store.noteHeartbeat(each), { kind: 'noted', forgot: null });
      assert.deepEqual(await store.heartbeats(), [other, first]);
      assert.deepEqual(await (await again()).heartbeats(), [other, first]);
    });

    it('remembers how often an agent beats when its goodbye does not say so', async (t) => {
      const { store } = await fresh(t);
      await store.noteHeartbeat(aHeartbeat());
      await store.noteHeartbeat(aHeartbeat({ state: 'stopped', everySeconds: null }));
      assert.deepEqual(await store.heartbeats(), [aHeartbeat({ state: 'stopped' })]);
    });

    it('says once that an agent is lost and once that it is back, also across a restart', async (t) => {
      const { store, again, clock } = await fresh(t);
      const { agent, says } = aHeartbeat();
      const at = clock.now;
      const last = { agent, at, says: { ...says, working_on: 'deploy-7' } };
      await store.noteHeartbeat(aHeartbeat({ at: at - 30_000 }));
      clock.now += 42_400;
      assert.deepEqual([await store.noteAgentLost(last), await store.noteAgentLost(last)], [true, false]);
      const later = await again();
      assert.equal(await later.noteAgentLost(last), false);
      assert.deepEqual(await later.heartbeats(), [{ ...aHeartbeat(), ...last, state: 'lost' }]);
      for (const more of [60_000, 70_000]) await later.noteHeartbeat(aHeartbeat({ at: at + more }));
      assert.deepEqual(await told(later), [
        {
          action: 'agent_lost',
          target: agent,
          details: { agent, last_heartbeat_at: new Date(at).toISOString(), silent_seconds: 42, says: last.says },
        },
        { action: 'agent_back', target: agent, details: { agent, silent_seconds: 60 } },
      ]);
    });

    it('says nothing of one that stopped, starts again, or was never heard of', async (t) => {
      const { store } = await fresh(t);
      const last = aHeartbeat();
      assert.equal(await store.noteAgentLost(last), false);
      await store.noteHeartbeat(aHeartbeat());
      await store.noteHeartbeat(aHeartbeat({ state: 'stopped' }));
      assert.equal(await store.noteAgentLost(last), false);
      await store.noteHeartbeat(aHeartbeat());
      assert.deepEqual(await told(store), []);
    });

    it('takes a goodbye after a loss as the end of the loss', async (t) => {
      const { store } = await fresh(t);
      await store.noteHeartbeat(aHeartbeat());
      await store.noteAgentLost(aHeartbeat());
      await store.noteHeartbeat(aHeartbeat({ state: 'stopped' }));
      await store.noteHeartbeat(aHeartbeat());
      const actions = (await told(store)).map(({ action }) => action);
      assert.deepEqual(actions, ['agent_lost', 'agent_back']);
    });

    it('forgets the longest silent for another one, but none that is alive', async (t) => {
      const { store } = await fresh(t);
      const named = (n: number) =>
        aHeartbeat({ agent: `A${n}`, at: n, state: n === 7 || n === 9 ? 'stopped' : 'alive' });
      await Promise.all(Array.from({ length: maxKeptAgents }, (_, n) => store.noteHeartbeat(named(n))));
      const another = (agent: string) => store.noteHeartbeat(aHeartbeat({ agent }));
      assert.deepEqual(await another('B'), { kind: 'noted', forgot: 'A7' });
      assert.deepEqual(await another('B'), { kind: 'noted', forgot: null });
      assert.deepEqual(await another('C'), { kind: 'noted', forgot: 'A9' });
      assert.deepEqual(await another('D'), { kind: 'too-many-agents', limit: maxKeptAgents });
      const kept = (await store.heartbeats()).map(({ agent }) => agent);
      assert.deepEqual([kept.length, kept.includes('A7'), kept.includes('D')], [maxKeptAgents, false, false]);
    });

    it('counts what waits for an agent by state, up to a limit', async (t) => {
      const { store } = await fresh(t);
      for (const agent_name of ['BUSY', 'IDLE'])
        await store.addSubscription(aSubscription({ agent_name, action_pattern: `${agent_name}_*` }), 'operator');
      for (let n = 0; n < 4; n++) await stored(store, aFact({ action: 'BUSY_heard' }));
      const [dead, deferred] = await store.claim('BUSY', { max: 3, leaseMs: 60_000 });
      const nack = { delayMs: null, reason: null, dead: true };
      await store.nack('BUSY', dead?.id as string, dead?.lease as string, nack);
      const later = { ...nack, dead: false, delayMs: 60_000 };
      await store.nack('BUSY', deferred?.id as string, deferred?.lease as string, later);
      const none = { ready: 0, leased: 0, deferred: 0, dead: 0 };
      assert.deepEqual(await store.owedTo(['NOBODY', 'BUSY', 'IDLE']), [
        none,
        { ready: 1, leased: 1, deferred: 1, dead: 1 },
        none,
      ]);
      const drafts = Array.from({ length: 600 }, () => aFact({ action: 'IDLE_heard' }));
      for (let n = 0; n < 2; n++) await store.publishBatch(drafts);
      assert.equal((await store.owedTo(['IDLE']))[0]?.ready, maxCountedDeliveries);
    });
  });
}
