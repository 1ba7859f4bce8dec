import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Client, EventsQuery } from '../../client/client.ts';
import type { Event } from '../../events/event.ts';
import { anEvent } from '../agent.fixtures.ts';
import { traceOf } from './trace.ts';

const never = new AbortController().signal;

/** A log, the oldest first, as the bus pages it; how often it was asked. */
function busOf(log: readonly Partial<Event>[]) {
  const events = log.map((fields, n) =>
    anEvent({
      ...{ timestamp: new Date(n * 1000).toISOString(), status: 'pending', target: null },
      ...{ human_question: null, human_response: null, human_responded_by: null, ...fields },
    }),
  );
  const newestFirst = events.toReversed();
  let pages = 0;
  return {
    pages: () => pages,
    async event(id: string) {
      const found = events.find((each) => each.id === id);
      if (found === undefined) throw new Fault('not-found', `No event ${id}.`);
      return found;
    },
    async events({ limit = 0, before = '0' }: EventsQuery = {}) {
      pages++;
      const from = Number(before);
      const page = newestFirst.slice(from, from + limit);
      const next = from + limit < events.length ? String(from + limit) : null;
      return { events: page, count: page.length, next };
    },
  };
}

async function traced(log: readonly Partial<Event>[], id: string, signal = never) {
  const { trace, matter, is_whole } = await traceOf(busOf(log), id, signal);
  const told = trace as JsonObject[];
  return { matter, is_whole, told, ids: told.map((each) => each.id), depths: told.map((each) => each.depth) };
}

const by = (causation_id: string, correlation_id: string | null = null) => ({ causation_id, correlation_id });

describe('a trace', () => {
  const log = [
    { id: 'before' },
    { id: 'a', action: 'deploy_failed' },
    { id: 'beside' },
    { id: 'b', ...by('a', 'a') },
    { id: 'c', ...by('b', 'a') },
    { id: 'd', ...by('a', 'a') },
    { id: 'after', causation_id: 'beside' },
  ];

  it('tells of what an event says no more than its beginning, and keeps none of them whole', async () => {
    const details = { says: 'x'.repeat(100_000), more: 'y'.repeat(100_000) };
    const { told } = await traced([{ id: 'a', action: 'deploy_failed', details }], 'a');
    assert.deepEqual(told[0]?.says, 'x'.repeat(300));
  });

  it('is the matter in the order in which it happened, each as deep as it has causes', async () => {
    for (const id of ['a', 'b', 'c', 'd']) {
      const { matter, ids, depths, is_whole } = await traced(log, id);
      assert.deepEqual([matter, is_whole], ['a', true]);
      assert.deepEqual(ids, ['a', 'b', 'c', 'd']);
      assert.deepEqual(depths, [0, 1, 2, 1]);
    }
    assert.deepEqual((await traced(log, 'before')).ids, ['before']);
    await assert.rejects(traced(log, 'never-was'), { code: 'not-found' });
    assert.equal((await traced(log, 'befo')).matter, 'before');
    await assert.rejects(traced(log, 'be'), { code: 'usage', message: /beginning of 2 ids: / });
  });

  it('has what follows by its cause alone, also where that was stored later or the clock went back', async () => {
    const chain = [{ id: 'a' }, { id: 'b', ...by('a') }, { id: 'c', ...by('b') }, { id: 'x', ...by('other') }];
    assert.deepEqual((await traced(chain, 'a')).ids, ['a', 'b', 'c']);
    const late = [{ id: 'a' }, { id: 'c', ...by('b') }, { id: 'b', ...by('a') }];
    assert.deepEqual((await traced(late, 'a')).ids, ['a', 'c', 'b']);
    const back = [
      { id: 'a', timestamp: '2026-11-29T00:00:00.000Z' },
      { id: 'b', ...by('a', 'a') },
    ];
    assert.deepEqual((await traced(back, 'a')).ids, ['a', 'b']);
  });

  it('belongs together by a name that is no event', async () => {
    const release = [{ id: 'a', correlation_id: 'release 7' }, { id: 'b' }, { id: 'c', correlation_id: 'release 7' }];
    const { matter, ids } = await traced(release, 'c');
    assert.deepEqual([matter, ids], ['release 7', ['a', 'c']]);
  });

  it('ends where causes go in a circle, and where one is not there any more', async () => {
    const circle = [
      { id: 'a', ...by('b', 'm') },
      { id: 'b', ...by('a', 'm') },
      { id: 'c', ...by('c', 'm') },
    ];
    const { ids, depths } = await traced(circle, 'a');
    assert.deepEqual(ids, ['a', 'b', 'c']);
    for (const depth of depths as number[]) assert.ok(depth <= 2);
    const purged = await traced([{ id: 'b', ...by('gone', 'gone') }], 'b');
    assert.deepEqual([purged.ids, purged.depths], [['b'], [0]]);
  });

  it('looks no further than what began it, and gives up on a log that is too long', async () => {
    const many = Array.from({ length: 30_000 }, (_, n) => ({ id: `n${n}` }));
    const short = busOf([...many, { id: 'a' }, { id: 'b', ...by('a', 'a') }]);
    assert.equal((await traceOf(short, 'b', never)).is_whole, true);
    assert.equal(short.pages(), 1);
    const long = busOf([{ id: 'a' }, { id: 'b', ...by('a') }, ...many, { id: 'c', ...by('a') }]);
    const { is_whole, trace } = await traceOf(long, 'a', never);
    assert.equal(is_whole, false);
    assert.deepEqual(
      (trace as JsonObject[]).map(({ id }) => id),
      ['a', 'c'],
    );
    assert.ok(long.pages() <= 21);
    await assert.rejects(traced([{ id: 'a' }], 'a', AbortSignal.abort(new Error('stopping'))), /stopping/);
  });

  it('tells what led to an event also where that is older than what is looked through', async () => {
    const many = Array.from({ length: 30_000 }, (_, n) => ({ id: `n${n}` }));
    const { ids, depths, is_whole } = await traced(
      [{ id: 'a' }, { id: 'b', ...by('a') }, ...many, { id: 'c', ...by('b') }],
      'c',
    );
    assert.deepEqual([ids, depths, is_whole], [['a', 'b', 'c'], [0, 1, 2], false]);
  });

  it('says that it is not whole where more led to an event than is looked for', async () => {
    const deep = Array.from({ length: 150 }, (_, n) => ({ id: `n${n}`, ...(n > 0 && by(`n${n - 1}`)) }));
    assert.equal((await traced(deep, 'n99')).is_whole, true);
    assert.deepEqual((await traced(deep, 'n149')).is_whole, false);
  });

  it('tells the first of a matter with very many events, and that there are more', async () => {
    const many = Array.from({ length: 700 }, (_, n) => ({ id: `n${n}`, ...by('a', 'a') }));
    const { ids, is_whole } = await traced([{ id: 'a' }, ...many], 'a');
    assert.deepEqual([ids.length, ids[0], ids[1], is_whole], [500, 'a', 'n0', false]);
  });

  it('says of each what a person wants to read', async () => {
    const cases: [Partial<Event>, string | null][] = [
      [{}, null],
      [{ human_question: 'Roll back?\nIt is old.' }, 'Roll back?'],
      [{ human_question: 'Roll back?', human_response: 'yes', human_responded_by: 'anna' }, 'Roll back? yes, by anna'],
      [{ human_question: 'Roll back?', human_response: 'no' }, 'Roll back? no, by nobody: the time was over'],
      [{ details: { ok: false, error: { message: 'It is broken.' } } }, 'It is broken.'],
      [{ details: { ok: true, result: { says: 'Restored.' } } }, 'Restored.'],
      [{ details: { capability: 'hades.rollback', because: 'x' } }, 'x'],
      [{ details: { says: 7, backup: 'dev-1' } }, 'dev-1'],
    ];
    for (const [fields, says] of cases) assert.equal((await traced([{ id: 'a', ...fields }], 'a')).told[0]?.says, says);
  });
});

type KnownLink = Pick<Event, 'id'> & Partial<Pick<Event, 'causation_id' | 'correlation_id'>>;

/** A bus with these events, the oldest first. */
function knownBus(...links: KnownLink[]): Pick<Client, 'event' | 'events'> {
  const all = links.map((link, n) => ({
    ...anEvent(link),
    timestamp: `2026-01-01T00:00:0${n}.000Z`,
    human_question: null,
  }));
  return {
    async event(id) {
      const found = all.find((each) => each.id === id);
      if (found === undefined) throw new Fault('not-found', 'There is no such event.');
      return found;
    },
    events: async () => ({ events: all.toReversed(), count: all.length, next: null }) as never,
  };
}

const restored: readonly KnownLink[] = [
  { id: 'unrelated' },
  { id: 'deploy' },
  { id: 'failed', causation_id: 'deploy', correlation_id: 'deploy' },
  { id: 'call', causation_id: 'failed', correlation_id: 'deploy' },
  // A run has a name of its own.
  { id: 'began', causation_id: 'call', correlation_id: 'run' },
  { id: 'ended', causation_id: 'call', correlation_id: 'run' },
  { id: 'noted', correlation_id: 'run' },
  { id: 'audited', causation_id: 'ended' },
];

async function toldFrom(id: string, ...links: readonly KnownLink[]) {
  const { matter, trace } = await traceOf(knownBus(...links), id, new AbortController().signal);
  return [matter, ...(trace as { id: string }[]).map((each) => each.id)];
}

describe('a trace from any event of its matter', () => {
  it('is the whole matter, from whichever event of it', async () => {
    const whole = ['deploy', 'deploy', 'failed', 'call', 'began', 'ended'];
    for (const id of ['deploy', 'failed', 'call'])
      assert.deepEqual(await toldFrom(id, ...restored), [...whole, 'audited']);
    for (const id of ['began', 'ended'])
      assert.deepEqual(await toldFrom(id, ...restored), [...whole, 'noted', 'audited']);
    assert.deepEqual(await toldFrom('audited', ...restored), [...whole, 'noted', 'audited']);
  });

  it('begins with what is still known, and ends where causes go in a circle', async () => {
    assert.deepEqual(await toldFrom('b', { id: 'b', causation_id: 'purged' }, { id: 'c', causation_id: 'b' }), [
      'b',
      'b',
      'c',
    ]);
    const circle = [
      { id: 'a', causation_id: 'b' },
      { id: 'b', causation_id: 'a' },
    ];
    assert.deepEqual((await toldFrom('a', ...circle)).slice(1), ['a', 'b']);
  });
});
