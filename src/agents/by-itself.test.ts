import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import type { Draft } from '../events/draft.ts';
import { type Agent, done, type SaidByItself, type Say } from './agent.ts';
import { actByItself } from './by-itself.ts';

const said: SaidByItself = { of: 'schedule:dev', action: 'backup_completed', target: 'dev', details: {} };

/** Runs rounds until one of them stops it, over a bus that answers with this fault, if any. */
async function run(
  round: (say: Say, signal: AbortSignal, stop: () => void, n: number) => Promise<number>,
  fault?: Fault,
) {
  const [stop, hardStop] = [new AbortController(), new AbortController()];
  const drafts: Draft[] = [];
  const logged: string[] = [];
  let n = 0;
  const agent: Agent = {
    ...{ name: 'CHRONOS', port: 0, hears: {}, longestMs: 1000, react: async () => done() },
    byItself: (say, signal) => round(say, signal, () => stop.abort(new Error('stopped')), n++),
  };
  const line = (level: string) => (text: string) => void logged.push(`${level} ${text}`);
  const publish = async (draft: Draft) => {
    drafts.push(draft);
    if (fault !== undefined) throw fault;
    return { id: draft.id as string, status: 'created' as const, subscribed_agents: [], timestamp: '', bookmark: '' };
  };
  await actByItself(
    agent,
    { publish },
    {
      ...{ stop: stop.signal, hardStop: hardStop.signal },
      log: { info: line('info'), warn: line('warn'), error: line('error') },
    },
  );
  return { drafts, logged, rounds: n };
}

describe('What an agent does by itself', () => {
  it('is said under the same id each time, with what it is of and no cause', async () => {
    const { drafts } = await run(async (say, _, stop, n) => {
      assert.equal(await say(said), true);
      if (n === 1) stop();
      return 0;
    });
    const [first, second] = drafts;
    assert.deepEqual(
      [first?.correlation_id, first?.causation_id, first?.source_agent],
      ['schedule:dev', undefined, 'CHRONOS'],
    );
    assert.equal(first?.id, second?.id);
  });

  it('goes on when the bus does not take it, which is one line in the log', async () => {
    const { logged, rounds } = await run(async (say, _, stop, n) => {
      assert.equal(await say(said), false);
      if (n === 2) stop();
      return 0;
    }, new Fault('forbidden', 'This token may not.'));
    assert.deepEqual([rounds, logged], [3, ['warn could not be said; it is said later']]);
  });

  it('ends at once when it is stopped, also from a long pause and in a round that fails for that', async () => {
    const { rounds, logged } = await run(async (_, __, stop) => {
      stop();
      return 3_600_000;
    });
    assert.deepEqual([rounds, logged], [1, []]);
    const failed = await run(async (_, __, stop) => {
      stop();
      throw new Error('a mistake of ours');
    });
    assert.deepEqual([failed.rounds, failed.logged], [1, ['error what it does by itself has failed']]);
  });
});
