import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { CloudEvent, type CloudEventV1, HTTP } from 'cloudevents';
import fc from 'fast-check';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { unshakenBus } from './bus-server.fixtures.ts';

const one = 'application/cloudevents+json';
const many = 'application/cloudevents-batch+json';
const attributes = { specversion: '1.0', id: 'x', source: '/agents/A', type: 'happened' };
const binary = (fields: Record<string, string> = {}) => {
  const named = { ...attributes, ...fields };
  return Object.fromEntries(Object.entries(named).map(([name, value]) => [`ce-${name}`, value]));
};
const inHeader = (text: string) => encodeURIComponent(text);

/** What the SDK made, as fetch sends it. */
function sent({ headers, body }: { headers: object; body: unknown }): [body: string, headers: Record<string, string>] {
  return [body as string, Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))];
}

/** As the SDK's own reader understands what came over the wire. */
function read({ headers, body }: { headers: Headers; body: Wire }): CloudEventV1<unknown>[] {
  const heard = HTTP.toEvent({
    headers: { 'content-type': headers.get('content-type') as string },
    body: JSON.stringify(body),
  });
  return (Array.isArray(heard) ? heard : [heard]) as CloudEventV1<unknown>[];
}

const core = ({ id, source, type, subject, data }: CloudEventV1<unknown>) => ({ id, source, type, subject, data });

describe('CloudEvents', () => {
  const { bus } = unshakenBus();
  let call: Caller;
  let made = 0;
  before(async () => {
    call = await callerOf(bus());
  });
  const newId = () => `ce-${++made}`;

  it('of the official package arrive in all three modes and are read back by it as they were', async () => {
    const event = () =>
      new CloudEvent<unknown>({
        id: newId(),
        source: '/agents/HEPHAESTUS',
        type: 'deploy_started',
        subject: 'dev/web',
        data: { version: '1.4.2', nested: [{ a: null }], empty: {} },
        correlationid: 'c-1',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        tags: 'red,blue',
      });
    const ways: [string, (event: CloudEvent<unknown>) => Promise<Wire>][] = [
      ['structured', (event) => call.post('/events', ...sent(HTTP.structured(event)))],
      ['binary', (event) => call.post('/events', ...sent(HTTP.binary(event)))],
      ['batch', (event) => call.post('/events:batch', JSON.stringify([event]), { 'content-type': many })],
      ['batch to /events', (event) => call.post('/events', JSON.stringify([event]), { 'content-type': many })],
    ];
    for (const [way, send] of ways) {
      const given = event();
      const { status, body } = await send(given);
      assert.equal(status, way.startsWith('batch') ? 200 : 201, JSON.stringify(body));
      assert.equal('warnings' in (body.results?.[0] ?? body), false, JSON.stringify(body));
      const stored = (await call.get(`/events/${given.id}`)).body;
      assert.equal(stored.source_agent, 'HEPHAESTUS', way);
      assert.equal(stored.correlation_id, 'c-1');
      assert.equal(stored.traceparent, given.traceparent);
      assert.deepEqual(stored.tags, ['red', 'blue']);
      const back = await call.get(`/events/${given.id}`, { accept: one });
      assert.match(back.headers.get('content-type') as string, /^application\/cloudevents\+json/);
      const [heard] = read(back) as [CloudEventV1<unknown>];
      assert.deepEqual(core(heard), core(given), way);
      assert.equal(heard.time, stored.timestamp, 'the bus’ own time counts');
      assert.equal(heard.tags, 'red,blue');
    }
  });

  it('need no data and no subject', async () => {
    for (const mode of ['structured', 'binary'] as const) {
      const given = new CloudEvent({ id: newId(), source: '/agents/A', type: 'happened' });
      const [body, headers] = sent(HTTP[mode](given));
      const { status } = await call.post('/events', mode === 'binary' ? '' : body, headers);
      assert.equal(status, 201);
      const event = (await call.get(`/events/${given.id}`)).body;
      assert.deepEqual([event.details, event.target], [null, null]);
      assert.deepEqual(core(read(await call.get(`/events/${given.id}`, { accept: one }))[0] as never), core(given));
    }
  });

  it('of any content go out and come in again without loss', async () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => !/[\p{Cc}]/u.test(text));
    const text = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 30 })
      .filter((value) => !value.includes('\0') && value.isWellFormed());
    const draft = fc.record(
      {
        source_agent: name,
        action: name,
        target: text,
        details: fc.dictionary(fc.string(), fc.jsonValue()),
        correlation_id: text,
        tags: fc.array(name, { maxLength: 3 }),
      },
      { requiredKeys: ['source_agent', 'action'] },
    );
    await fc.assert(
      fc.asyncProperty(draft, async (fields) => {
        const first = await call.post('/events', { ...fields, id: newId() });
        if (first.status !== 201) return; // Such as a number that would not survive.
        const event = (await call.get(`/events/${first.body.id}`)).body;
        const outgoing = await call.get(`/events/${first.body.id}`, { accept: one });
        const [heard] = read(outgoing) as [CloudEventV1<unknown>];
        const { bookmark, time, ...kept } = { ...heard, id: newId() } as Record<string, unknown>;
        const copies = [newId(), newId(), newId()] as [string, string, string];
        await call.post('/events', { ...kept, id: copies[0] }, { 'content-type': one });
        const { data, datacontenttype, ...inHeaders } = kept;
        const headers = Object.entries({ ...inHeaders, id: copies[1] })
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => [`ce-${key}`, inHeader(String(value))]);
        await call.post('/events', data === undefined ? '' : JSON.stringify(data), Object.fromEntries(headers));
        await call.post('/events:batch', [{ ...kept, id: copies[2] }], { 'content-type': many });
        for (const id of copies) {
          const copy = (await call.get(`/events/${id}`)).body;
          for (const field of ['source_agent', 'action', 'target', 'details', 'correlation_id', 'tags'])
            assert.deepEqual(copy[field], field === 'target' && event.target === '' ? null : event[field], field);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('ask a person, also with headers alone', async () => {
    const id = newId();
    const { status, body } = await call.post('/events', '', {
      ...binary({ id, requireshuman: 'true', humanquestion: inHeader('Zurückrollen?'), humanoptions: 'yes,no' }),
      'ce-humantimeoutminutes': '0.5',
      'ce-humanfallback': '"no"',
      'ce-answerers': inHeader('["ann","b, c"]'),
    });
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(Date.parse(body.timeout_at), Date.parse(body.timestamp) + 30_000);
    const event = (await call.get(`/events/${id}`)).body;
    assert.equal(event.human_question, 'Zurückrollen?');
    assert.deepEqual(event.human_options, ['yes', 'no']);
    assert.deepEqual(event.answerers, ['ann', 'b, c']);
    assert.equal(event.human_fallback, 'no');
    const out = (await call.get(`/events/${id}`, { accept: one })).body;
    assert.deepEqual(
      [out.requireshuman, out.humanquestion, out.humanoptions, out.humantimeoutminutes, out.humanstate, out.answerers],
      [true, 'Zurückrollen?', 'yes,no', '0.5', 'open', '["ann","b, c"]'],
    );
  });

  const refused: [what: string, fields: Record<string, unknown>, pointer: string, detail: RegExp][] = [
    ['another version', { specversion: '0.3' }, '/specversion', /must be "1.0"/],
    ['no version', { specversion: null }, '/specversion', /is missing/],
    ['no id', { id: undefined }, '/id', /is missing/],
    ['no type', { type: undefined }, '/type', /is missing/],
    ['no source', { source: undefined }, '/source', /is missing/],
    ['a source of another shape', { source: 'https://example.org/a' }, '/source', /must be \/agents\/NAME/],
    ['a source with more below', { source: '/agents/A/b' }, '/source', /must be \/agents\/NAME/],
    ['a source that is no encoding', { source: '/agents/%zz' }, '/source', /must be \/agents\/NAME/],
    ['the bus’ own name', { source: '/agents/EVENT-BUS' }, '/source', /own name/],
    ['an id with a blank', { id: 'a b' }, '/id', /visible ASCII/],
    ['an id that is a path', { id: 'stream' }, '/id', /path/],
    ['a type that is too long', { type: 'x'.repeat(201) }, '/type', /at most 200/],
    ['a subject that is a number', { subject: 7 }, '/subject', /string/],
    ['a list as data', { data: [1] }, '/data', /must be a JSON object/],
    ['a text as data', { data: 'text' }, '/data', /must be a JSON object/],
    ['binary data', { data_base64: 'AA==' }, '/data_base64', /send data as a JSON object/],
    ['data of another type', { datacontenttype: 'text/xml', data: {} }, '/datacontenttype', /must be JSON/],
    ['a time that is none', { time: 'yesterday' }, '/time', /RFC 3339/],
    ['tags that are no text', { tags: 7 }, '/tags', /separated by commas/],
    ['tags that are half a list', { tags: '["a"' }, '/tags', /separated by commas/],
    ['a truth value that is none', { requireshuman: 'maybe' }, '/requireshuman', /true or false/],
  ];
  for (const [what, fields, pointer, detail] of refused)
    it(`with ${what} are refused where it stands`, async () => {
      const cloud = { ...attributes, id: newId(), ...fields };
      const { status, body } = await call.post('/events', cloud, { 'content-type': one });
      assert.equal(status, 422, JSON.stringify(body));
      assert.match(body.detail, /^The CloudEvent makes no sense: /);
      assert.deepEqual(
        body.errors.map((mistake: Wire) => mistake.pointer),
        [pointer],
      );
      assert.match(body.errors[0].detail, detail);
      const batch = await call.post('/events:batch', [cloud], { 'content-type': many });
      assert.deepEqual(batch.body.results[0].error.errors[0].pointer, `/0${pointer}`);
    });

  it('say every mistake at once, and point into headers where the mistake is there', async () => {
    const { status, body } = await call.post('/events', '{"a":[1]}', {
      ...binary({ specversion: '2.0', source: 'x', type: '' }),
      'ce-tags': '["a",7]',
    });
    assert.equal(status, 422);
    assert.deepEqual(body.errors.map((mistake: Wire) => mistake.pointer).sort(), [
      ...['ce-source', 'ce-specversion', 'ce-tags', 'ce-type'],
    ]);
    const data = await call.post('/events', '[1]', { ...binary({ id: newId() }), 'content-type': 'application/json' });
    assert.deepEqual(data.body.errors, [
      { pointer: '', detail: 'must be a JSON object; put another value below a key of one' },
    ]);
  });

  it('lose what the bus does not keep with a warning, and their time without one', async () => {
    const { status, body } = await call.post(
      '/events',
      {
        ...attributes,
        id: newId(),
        time: '2020-01-01T00:00:00Z',
        dataschema: 'https://a.example/s',
        foo: 1,
        sequence: '7',
      },
      { 'content-type': `${one}; charset=UTF-8` },
    );
    assert.equal(status, 201);
    assert.deepEqual(
      body.warnings.map((warning: Wire) => warning.pointer),
      ['/dataschema', '/foo', '/sequence'],
    );
    assert.ok(Date.parse(body.timestamp) > Date.parse('2025-01-01'));
  });

  it('in headers are unquoted and decoded once', async () => {
    for (const [header, target] of [
      ['"a \\"b\\" \\\\c"', 'a "b" \\c'],
      ['a%20b', 'a b'],
      ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
      ['a%2520b', 'a%20b'],
      ['100%', '100%'],
      ['"%22"', '"'],
    ] as const) {
      const id = newId();
      assert.equal((await call.post('/events', '', { ...binary({ id, subject: header }) })).status, 201, header);
      assert.equal((await call.get(`/events/${id}`)).body.target, target);
    }
    for (const header of ['caf\u00e9', '%ff', 'a%E2%82'])
      assert.deepEqual(
        (await call.post('/events', '', binary({ subject: header }))).body.errors.map((m: Wire) => m.pointer),
        ['ce-subject'],
      );
  });

  it('in headers have JSON as their data, or none', async () => {
    const post = (body: string, type: string) =>
      call.post('/events', body, { ...binary({ id: newId() }), 'content-type': type });
    for (const type of ['application/json', 'application/json; charset=utf-8', 'application/vnd.a+json', 'text/json'])
      assert.equal((await post('{"a":1}', type)).status, 201, type);
    for (const type of ['text/plain', 'application/xml', 'application/octet-stream'])
      assert.equal((await post('{"a":1}', type)).status, 415, type);
    assert.equal((await post('{"a":', 'application/json')).status, 400);
    assert.equal((await post('{"a":12345678901234567890}', 'application/json')).status, 422);
  });

  it('are told by ce-type or ce-specversion; other headers of that kind change nothing', async () => {
    const plain = await call.post('/events', { source_agent: 'A', action: 'b' }, { 'ce-foo': 'x' });
    assert.equal(plain.status, 201);
    const { 'ce-specversion': left, ...rest } = binary({ id: newId() });
    const { body } = await call.post('/events', '', rest);
    assert.deepEqual(body.errors, [{ pointer: 'ce-specversion', detail: 'is missing' }]);
    assert.equal(left, '1.0');
  });

  it('belong where they are published, and a single one into no batch', async () => {
    assert.equal((await call.post('/events:batch', attributes, { 'content-type': one })).status, 415);
    assert.equal((await call.post('/events:batch', [attributes], binary())).status, 422);
    assert.equal((await call.post('/subscriptions', attributes, { 'content-type': one })).status, 415);
    assert.equal((await call.post('/events', '[]', { 'content-type': many })).status, 422);
    assert.equal((await call.post('/events', '{}', { 'content-type': many })).status, 422);
  });

  it('have ids that are unique in the whole log, not only for their source', async () => {
    const id = newId();
    const send = (source: string) => call.post('/events', { ...attributes, id, source }, { 'content-type': one });
    assert.equal((await send('/agents/A')).status, 201);
    assert.equal((await send('/agents/A')).status, 200);
    assert.equal((await send('/agents/B')).status, 409);
  });

  it('are told apart by an Idempotency-Key, headers and all', async () => {
    const send = (subject: string) =>
      call.post('/events', '', { ...binary({ id: 'keyed', subject }), 'idempotency-key': 'ce' });
    assert.equal((await send('a')).status, 201);
    assert.equal((await send('a')).headers.get('idempotency-replayed'), 'true');
    assert.equal((await send('b')).status, 422);
  });

  it('may make a batch as large as any, and each of them is bounded', async () => {
    const large = (bytes: number) => ({ ...attributes, id: newId(), data: { x: 'x'.repeat(bytes) } });
    const { body } = await call.post('/events', [large(200_000), large(200_000), large(263_000)], {
      'content-type': many,
    });
    assert.deepEqual(
      body.results.map((result: Wire) => result.status),
      ['created', 'created', 'refused'],
    );
    assert.equal((await call.post('/events', large(263_000), { 'content-type': one })).status, 413);
  });

  it('are what a list and an inbox give when asked to, page by page', async () => {
    for (let i = 0; i < 7; i++)
      await call.publish({ source_agent: 'LISTED & co', action: 'container_deployed', target: `${i}` });
    for (const path of [
      '/events?source_agent=LISTED+%26+co&limit=3',
      '/agents/AEGIS/events?limit=3&unacknowledged_only=true',
    ]) {
      const found: string[] = [];
      for (let next: string | undefined = path, page = 0; next !== undefined && page < 5; page++) {
        const reply = await call.get(next, { accept: many });
        assert.match(reply.headers.get('content-type') as string, /^application\/cloudevents-batch\+json/);
        const events = read(reply);
        assert.ok(events.length <= 3 && events.every(({ source }) => source === '/agents/LISTED%20%26%20co'));
        found.push(...events.map(({ subject }) => subject as string));
        next = /^<([^>]+)>; rel="next"$/.exec(reply.headers.get('link') ?? '')?.[1];
      }
      assert.deepEqual(found, ['6', '5', '4', '3', '2', '1', '0'], path);
    }
    assert.deepEqual((await call.get('/agents/NOBODY/events', { accept: many })).body, []);
  });

  it('are given to nobody who does not ask for them by name', async () => {
    const { id } = await call.publish({});
    for (const accept of [
      '*/*',
      'application/json',
      'application/*',
      many,
      `${one};q=0`,
      `${one};q=0.5, application/json`,
    ]) {
      const { headers, body } = await call.get(`/events/${id}`, { accept });
      assert.match(headers.get('content-type') as string, /^application\/json/, accept);
      assert.equal(body.action, 'happened');
    }
    for (const accept of [`application/json;q=0.9, ${one}`, `text/html, ${one}; q=0.3`, one.toUpperCase()])
      assert.equal((await call.get(`/events/${id}`, { accept })).body.specversion, '1.0', accept);
    const missing = await call.get('/events/nothing', { accept: one });
    assert.equal(missing.status, 404);
    assert.match(missing.headers.get('content-type') as string, /problem\+json/);
  });
});
