import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import type { Event } from '../events/event.ts';
import { anEvent } from './agent.fixtures.ts';
import { ancestorsOf, deepestChain, judge } from './chain.ts';

/** A log whose events lie one behind the other: `0` is the first cause of all. */
function chain(length: number, at: (n: number) => Partial<Event> = () => ({})): Event[] {
  return Array.from({ length }, (_, n) =>
    anEvent({ id: `${n}`, causation_id: n === 0 ? null : `${n - 1}`, source_agent: `A${n % 2}`, ...at(n) }),
  );
}

function logOf(events: readonly Event[]) {
  const asked: string[] = [];
  const client = {
    async event(id: string): Promise<Event> {
      asked.push(id);
      const found = events.find((event) => event.id === id);
      if (found === undefined) throw new Fault('not-found', `No event ${id}.`);
      return found;
    },
  };
  return { client, asked };
}

async function verdictOn(events: readonly Event[], agent = 'CHRONOS') {
  const last = events.at(-1) as Event;
  return judge(agent, last, await ancestorsOf(logOf(events).client, last));
}

describe('the chain of causes', () => {
  it('is followed from the event to the first cause', async () => {
    const events = chain(4);
    const found = await ancestorsOf(logOf(events).client, events[3] as Event);
    assert.deepEqual(
      found.map(({ id }) => id),
      ['2', '1', '0'],
    );
  });

  it('ends where the log knows nothing more, and asks for nothing that is no event', async () => {
    const { client, asked } = logOf([]);
    assert.deepEqual(await ancestorsOf(client, anEvent({ causation_id: 'purged' })), []);
    for (const id of ['stream', 'pending', 'with blanks', '..'])
      assert.deepEqual(await ancestorsOf(client, anEvent({ causation_id: id })), []);
    assert.deepEqual(asked, ['purged']);
  });

  it('is cut when it is deeper than any that serves a purpose', async () => {
    assert.equal((await verdictOn(chain(deepestChain + 1))).kind, 'react');
    const cut = await verdictOn(chain(deepestChain + 2));
    assert.ok(cut.kind === 'cut' && cut.because === 'depth');
    assert.equal(cut.report?.details.event, `${deepestChain + 1}`);
    assert.match(String(cut.report?.details.says), /more than 16 events/);
  });

  it('is cut when it bites its own tail', async () => {
    const a = anEvent({ id: 'a', causation_id: 'b' });
    const b = anEvent({ id: 'b', causation_id: 'a' });
    assert.equal((await verdictOn([a, b])).kind, 'cut');
  });

  it('is cut at the own echo, but not where the agent took part before', async () => {
    const echo = await verdictOn([anEvent({ source_agent: 'HADES' })], 'HADES');
    assert.ok(echo.kind === 'cut' && echo.because === 'echo' && echo.report !== undefined);
    const answered = [
      anEvent({ id: 'q', source_agent: 'HADES' }),
      anEvent({ id: 'a', source_agent: 'EVENT-BUS', causation_id: 'q' }),
    ];
    assert.equal((await verdictOn(answered, 'HADES')).kind, 'react');
  });

  it('of a report may be reacted to, and what comes of that makes no other report', async () => {
    const report = deepestChain + 2;
    const at = (n: number) => (n === report ? { action: 'loop_cut', source_agent: 'HADES' } : {});
    assert.equal((await verdictOn(chain(report + 1, at))).kind, 'react');
    const own = await verdictOn(chain(report + 1, at), 'HADES');
    assert.ok(own.kind === 'cut' && own.report === undefined, 'an echo of the own report');
    const after = await verdictOn(chain(report + 2, at));
    assert.ok(after.kind === 'cut' && after.report === undefined, 'what somebody made of the report');
  });
});
