import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess, unshakenBus } from './bus-server.fixtures.ts';

const event = (fields: Record<string, unknown> = {}) => ({ source_agent: 'A', action: 'happened', ...fields });
const statuses = (body: Wire) => body.results.map((result: Wire) => result.status);
const pointers = (result: Wire) => result.error.errors.map((mistake: Wire) => mistake.pointer);

describe('POST /events:batch', () => {
  const { bus } = unshakenBus();
  let call: Caller;
  before(async () => {
    call = await callerOf(bus());
  });
  const head = async () => (await call.get('/health')).body.head;

  it('stores many events in their order, each with the receipt it would have had alone', async () => {
    const { status, body } = await call.post('/events:batch', [
      event({ action: 'credential_expiring', target: 'one' }),
      event({ requires_human: true, human_question: 'Go?', human_timeout_minutes: 5 }),
      event({ id: 'mine', target: 'three' }),
    ]);
    assert.equal(status, 200);
    assert.deepEqual(statuses(body), ['created', 'created', 'created']);
    assert.deepEqual([body.created, body.duplicates, body.refused], [3, 0, 0]);
    const [first, second, third] = body.results;
    assert.deepEqual(first.subscribed_agents, ['AEGIS', 'HERMES', 'ARIA', 'ATHENA']);
    assert.equal('timeout_at' in first, false);
    assert.equal(Date.parse(second.timeout_at), Date.parse(second.timestamp) + 5 * 60_000);
    assert.equal(third.id, 'mine');
    const stored = (await call.get('/events?source_agent=A&limit=3')).body.events;
    assert.deepEqual(
      stored.map((one: Wire) => one.id),
      [third.id, second.id, first.id],
    );
    assert.deepEqual(
      stored.map((one: Wire) => one.bookmark),
      [third.bookmark, second.bookmark, first.bookmark],
    );
  });

  it('refuses what makes no sense alone, and says where', async () => {
    const before = await head();
    const { status, body } = await call.post('/events:batch', [
      event({ id: 'good-1' }),
      { source_agent: 'A' },
      'text',
      null,
      [event()],
      event({ tags: ['a', 7] }),
      event({ source_agent: 'EVENT-BUS' }),
      event({ taget: 'x' }),
      event({ escalation: [{ after_minutes: 1, notify: ['a'], to: 1 }] }),
    ]);
    assert.equal(status, 200);
    assert.deepEqual(statuses(body), [
      'created',
      ...['refused', 'refused', 'refused', 'refused', 'refused', 'refused'],
      ...['created', 'created'],
    ]);
    assert.deepEqual([body.created, body.refused], [3, 6]);
    const { error } = body.results[1];
    assert.equal(error.type, 'urn:leveredge:problem:invalid');
    assert.equal(error.status, 422);
    assert.equal(error.detail, 'The event makes no sense: /1/action is missing.');
    assert.deepEqual(pointers(body.results[1]), ['/1/action']);
    assert.deepEqual(pointers(body.results[2]), ['/2']);
    assert.deepEqual(pointers(body.results[5]), ['/5/tags/1']);
    assert.deepEqual(body.results[7].warnings, [
      { pointer: '/7/taget', detail: 'is no field that the bus knows and was ignored; did you mean target?' },
    ]);
    assert.deepEqual(
      body.results[8].warnings.map((warning: Wire) => warning.pointer),
      ['/8/escalation', '/8/escalation/0/to'],
    );
    assert.equal('warnings' in body.results[0], false);
    assert.equal(await head(), before + 3);
  });

  it('knows the same id twice, in the log and in the batch', async () => {
    await call.publish({ id: 'twice', action: 'here' });
    const { body } = await call.post('/events:batch', [
      event({ id: 'twice', action: 'here' }),
      event({ id: 'fresh' }),
      event({ id: 'fresh' }),
      event({ id: 'fresh', target: 'other' }),
    ]);
    assert.deepEqual(statuses(body), ['duplicate', 'created', 'duplicate', 'refused']);
    assert.deepEqual([body.created, body.duplicates, body.refused], [1, 2, 1]);
    const [, created, again, taken] = body.results;
    assert.deepEqual({ ...again, status: 'created' }, created);
    assert.equal(taken.error.status, 409);
    assert.deepEqual(pointers(taken), ['/3/id']);
  });

  it('answers 200 also when all are refused, and stores nothing', async () => {
    const before = await head();
    const { status, body } = await call.post('/events:batch', [{}, 1]);
    assert.equal(status, 200);
    assert.deepEqual([body.created, body.duplicates, body.refused], [0, 0, 2]);
    assert.equal(await head(), before);
  });

  it('refuses numbers and characters that would not survive, in the one event that has them', async () => {
    const deep = (levels: number) =>
      `{"source_agent":"A","action":"x","details":{"a":${'['.repeat(levels)}${']'.repeat(levels)}}}`;
    const texts = [
      '{"source_agent":"A","action":"x","details":{"n":12345678901234567890}}',
      '{"source_agent":"A","action":"x","details":{"n":1e400}}',
      '{"source_agent":"A","action":"x","details":{"n":"\\ud800"}}',
      deep(62),
      deep(63),
      '{"source_agent":"A","action":"x","details":{"n":1152921504606846976}}',
    ];
    const { body } = await call.post('/events:batch', `[${texts.join(',')}]`);
    assert.deepEqual(statuses(body), ['refused', 'refused', 'refused', 'created', 'refused', 'created']);
    assert.deepEqual(pointers(body.results[0]), ['/0/details/n']);
    for (const [i, text] of texts.entries()) {
      const alone = await call.post('/events', text);
      assert.equal(alone.status === 201, body.results[i].status === 'created', text.slice(0, 80));
    }
  });

  it('refuses a batch that is none, empty, broken or too large as a whole', async () => {
    const before = await head();
    for (const [body, status, pattern] of [
      [event(), 422, /must be a JSON list of events/],
      [[], 422, /empty/],
      ['[{"source_agent":"A","action":"b"},]', 400, /not valid JSON/],
      ['', 400, /empty/],
      [Array.from({ length: 1001 }, () => event()), 413, /1001 events; 1000 are the limit/],
      [`[${JSON.stringify(event())}${' '.repeat(8 * 1024 * 1024)}]`, 413, /larger than 8192 KiB/],
    ] as const) {
      const refused = await call.post('/events:batch', body);
      assert.equal(refused.status, status, JSON.stringify(refused.body));
      assert.match(refused.body.detail, pattern);
    }
    assert.equal(await head(), before);
    const most = await call.post(
      '/events:batch',
      Array.from({ length: 1000 }, () => event()),
    );
    assert.equal(most.body.created, 1000);
  });

  it('takes an event of 256 KiB and refuses a larger one, alone', async () => {
    const sized = (bytes: number) =>
      event({ details: { x: 'x'.repeat(bytes - JSON.stringify(event({ details: { x: '' } })).length) } });
    const { body } = await call.post('/events:batch', [event(), sized(256 * 1024), sized(256 * 1024 + 1), event()]);
    assert.deepEqual(statuses(body), ['created', 'created', 'refused', 'created']);
    assert.equal(body.results[2].error.status, 413);
    assert.equal(body.results[2].error.type, 'urn:leveredge:problem:too-large');
    assert.deepEqual(pointers(body.results[2]), ['/2']);
  });

  it('has its path to itself', async () => {
    for (const path of [
      '/eventsXYZ',
      '/events:batchX',
      '/events::batch',
      '/events:batch/x',
      '/events:',
      '/eventsbatch',
    ])
      assert.equal((await call.post(path, [event()])).status, 404, path);
    const wrong = await call.get('/events:batch');
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'POST');
  });

  it('wakes whoever waits, and lets a deadline fall due', async () => {
    const { body } = await call.post('/events:batch', [
      event({ id: 'due', requires_human: true, human_timeout_minutes: 0.002, human_fallback: 'no' }),
      event({ id: 'now', requires_human: true, human_timeout_minutes: 0, human_fallback: 'no' }),
    ]);
    assert.equal(body.created, 2);
    assert.equal((await call.get('/events/now')).body.human_state, 'timed_out');
    assert.equal((await call.get('/events/due?wait=10')).body.human_response, 'no');
  });

  it('numbers without a gap whatever batches and single events come at once', async () => {
    const before = await head();
    const replies = await Promise.all([
      ...Array.from({ length: 20 }, () =>
        call.post(
          '/events:batch',
          Array.from({ length: 50 }, () => event()),
        ),
      ),
      ...Array.from({ length: 50 }, () => call.post('/events', event())),
    ]);
    const bookmarks = replies
      .flatMap(({ body }) => body.results ?? [body])
      .map((one: Wire) => Number(one.bookmark.split('.')[1]));
    assert.deepEqual(
      bookmarks.sort((a, b) => a - b),
      Array.from({ length: 1050 }, (_, i) => before + 1 + i),
    );
  });
});

/** What depends on when and after what it was stored. */
const moved = ['timestamp', 'bookmark', 'timeout_at'];
/** As the batch would say it: pointers begin with the index, and a duplicate is a status. */
function asInBatch(reply: { status: number; body: Wire }, index: number): Wire {
  if (reply.status >= 400) return { status: 'refused', error: inItsPlace(reply.body, index) };
  const { duplicate, ...receipt } = reply.body;
  return { ...inItsPlace(receipt, index), status: duplicate ? 'duplicate' : 'created' };
}

function inItsPlace(body: Wire, index: number): Wire {
  const at = (list: Wire[] | undefined) =>
    list?.map(({ pointer, detail }) => ({ pointer: `/${index}${pointer}`, detail }));
  const { errors, warnings, detail, ...rest } = body;
  return { ...rest, ...(errors && { errors: at(errors) }), ...(warnings && { warnings: at(warnings) }) };
}

/** Without what can differ: sentences, which repeat the pointers, and ids that the bus gives. */
function compared(result: Wire): Wire {
  const { id, error, ...rest } = result;
  const kept = Object.fromEntries(Object.entries(rest).filter(([name]) => !moved.includes(name)));
  if (error === undefined) return { ...kept, id: /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id) ? 'new' : id };
  const { detail, errors, ...problem } = error;
  // That of an id that is taken is told only where there are several.
  return { ...kept, error: { ...problem, ...(problem.status === 409 ? {} : { errors }) } };
}

describe('a batch', () => {
  let together: BusProcess;
  let apart: BusProcess;
  before(async () => {
    [together, apart] = await Promise.all([startBusProcess(), startBusProcess()]);
  });
  after(() => Promise.all([together.stop(), apart.stop()]));

  it('of anything gives exactly the results that its events give one by one', async () => {
    const [batch, single] = await Promise.all([callerOf(together), callerOf(apart)]);
    const odd = fc.oneof(
      fc.constantFrom(
        '""',
        '"EVENT-BUS"',
        '"stream"',
        'null',
        'true',
        '7',
        '[]',
        '{}',
        '[1]',
        '"a\\u0000"',
        '"\\ud800"',
        '1e999',
      ),
      fc.constantFrom('12345678901234567890', '{"a":12345678901234567891}', '["x","x"]', '"2026-01-01"'),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    );
    const fields = [
      'source_agent',
      'action',
      'target',
      'details',
      'tags',
      'requires_human',
      'human_question',
      'human_options',
    ];
    const more = [
      'human_timeout_minutes',
      'free_text',
      'answerers',
      'escalation',
      'traceparent',
      'deliver_at',
      'taget',
      'id',
    ];
    const change = fc.tuple(fc.constantFrom(...fields, ...more), odd);
    const good = fc.record({
      id: fc.constantFrom('a', 'b', 'c', undefined),
      target: fc.constantFrom('x', 'y', undefined),
    });
    const oneOf = fc.tuple(good, fc.array(change, { maxLength: 2 }));
    const item = fc.oneof({ weight: 5, arbitrary: oneOf }, { weight: 1, arbitrary: odd });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 8 }), async (items) => {
        run++;
        const texts = items.map((each) => (typeof each === 'string' ? each : textOf(each, run)));
        const { status, body } = await batch.post('/events:batch', `[${texts.join(',')}]`);
        assert.equal(status, 200);
        const alone: Wire[] = [];
        for (const [i, text] of texts.entries()) alone.push(asInBatch(await single.post('/events', text), i));
        assert.deepEqual(body.results.map(compared), alone.map(compared), texts.join('\n'));
      }),
      { numRuns: 60 },
    );
  });
});

function textOf(
  [good, changes]: readonly [{ id: string | undefined; target: string | undefined }, [string, string][]],
  run: number,
) {
  const members = new Map<string, string>([
    ['source_agent', '"A"'],
    ['action', '"happened"'],
  ]);
  if (good.id) members.set('id', `"${run}-${good.id}"`);
  if (good.target) members.set('target', `"${good.target}"`);
  for (const [field, text] of changes) members.set(field, text);
  return `{${[...members].map(([name, text]) => `"${name}":${text}`).join(',')}}`;
}
