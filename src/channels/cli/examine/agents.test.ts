import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../../base/fault.ts';
import { defaultSubscriptions } from '../../../events/defaults.ts';
import type { WireAgent } from '../../../events/heartbeat.ts';
import { agentNames, type Door } from '../door.ts';
import type { Server } from '../init/step.ts';
import { checkAgents } from './agents.ts';
import type { Installation } from './installation.ts';

const now = Date.parse('2026-11-29T12:00:00Z');
const installed: Installation = {
  ...{ home: '/opt/le', units: 'system', user: 'leveredge', agents: agentNames, bots: true, linked: true },
};
const heard = defaultSubscriptions.map(({ agent, pattern }) => ({
  ...{ agent_name: agent, action_pattern: pattern, enabled: true, deleted_at: null },
}));

function agent(name: string, state: WireAgent['state'], dead = 0): WireAgent {
  return {
    ...{ agent: name, state, last_heartbeat_at: state === 'never_heard_of' ? null : '2026-11-29T11:56:00Z' },
    ...{ every_seconds: 10, says: null, deliveries: { ready: 0, leased: 0, deferred: 0, dead } },
  };
}

/** A bus that knows these, and a machine where every unit runs. */
function look(agents: WireAgent[] | Fault, { subscriptions = heard, isInstalled = true, runs = true } = {}) {
  const bus = {
    async agents() {
      if (agents instanceof Fault) throw agents;
      return agents;
    },
    subscriptions: async () => subscriptions,
  };
  const door = { connect: () => bus, clock: () => now, program: 'leveredge', user: 'root' } as unknown as Door;
  const server = { hasSystemd: true, unitState: () => ({ runs }) } as unknown as Server;
  return checkAgents(door, 'http://127.0.0.1:8099', isInstalled ? installed : undefined, server);
}
const alive = agentNames.map((name) => agent(name.toUpperCase(), 'alive'));
const others = (name: string) => alive.filter((each) => each.agent !== name);

describe('what doctor says of agents', () => {
  it('names those that are alive', async () => {
    assert.deepEqual(await look(alive), [{ check: 'agents', state: 'fine', says: 'ATLAS, CHRONOS, HADES are alive' }]);
  });

  it('has nothing to say where none was ever heard of and none is expected', async () => {
    assert.deepEqual(await look([agent('HEPHAESTUS', 'never_heard_of', 3)], { isInstalled: false }), []);
  });

  it('says since when one is lost, and starts it as it is started here', async () => {
    const lost = agent('HADES', 'lost');
    const [finding] = await look([...others('HADES'), lost]);
    assert.match(finding?.says ?? '', /^HADES is lost, last heard 4 min ago/);
    assert.equal(finding?.todo, 'systemctl restart hades.service');
    const [byHand] = await look([lost], { isInstalled: false });
    assert.equal(byHand?.todo, 'Start it again: leveredge agent hades');
    const [own] = await look([agent('MINE', 'lost')], { isInstalled: false });
    assert.deepEqual([own?.state, own?.todo], ['wrong', 'Start it again.']);
  });

  it('says that the bus hears nothing of one whose unit runs, and leaves to the unit that it does not', async () => {
    for (const gone of [agent('ATLAS', 'never_heard_of'), agent('ATLAS', 'stopped')]) {
      const [finding] = await look([...others('ATLAS'), gone]);
      assert.match(
        finding?.says ?? '',
        /ATLAS (was never heard of by|said goodbye to) the bus, and atlas\.service runs/,
      );
      assert.equal((await look([...others('ATLAS'), gone], { runs: false }))[0]?.state, 'fine');
    }
  });

  it('names what was given up, and how it is tried again', async () => {
    const [finding] = await look([...others('CHRONOS'), agent('CHRONOS', 'alive', 2)]);
    assert.match(finding?.says ?? '', /^2 deliveries to CHRONOS were given up/);
    assert.equal(finding?.todo?.split('\n')[1], 'leveredge dead-letters redrive --all --agent CHRONOS');
  });

  it('notes what an agent does not hear any more', async () => {
    const without = heard.filter(({ action_pattern }) => action_pattern !== 'audit_failed');
    const off = heard.map((each) => (each.action_pattern === 'deploy_started' ? { ...each, enabled: false } : each));
    const todo = async (subscriptions: typeof heard) =>
      (await look(alive, { subscriptions })).map(({ state, todo }) => [state, todo]);
    assert.deepEqual(await todo(without), [
      ['fine', undefined],
      ['note', 'leveredge subscriptions add HADES audit_failed --priority 1'],
    ]);
    assert.deepEqual((await todo(off))[1], ['note', 'leveredge subscriptions enable CHRONOS deploy_started']);
  });

  it('says when the bus does not tell', async () => {
    const [finding] = await look(new Fault('unauthorized', 'This call needs a token.'));
    assert.deepEqual(
      [finding?.state, finding?.says],
      ['note', 'the bus does not tell root of them: This call needs a token.'],
    );
  });
});
