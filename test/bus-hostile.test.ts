import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, unshakenBus } from './bus-server.fixtures.ts';

/** Whatever arrives: never a 5xx, never a crash, and a person reads why. */
describe('hostile input', () => {
  const unshaken = unshakenBus();
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = unshaken.bus();
    call = await callerOf(bus);
  });

  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    fetch(`${bus.url}/events`, { method: 'POST', body: new Blob([new Uint8Array(Buffer.from(body))]), headers });
  const refusal = async (response: Response, status: number): Promise<Wire> => {
    const text = await response.text();
    assert.equal(response.status, status, text);
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
    const problem = JSON.parse(text);
    assert.equal(problem.status, status);
    assert.match(problem.type, /^urn:leveredge:problem:/);
    assert.ok(problem.detail.length > 10);
    return problem;
  };
  const event = (fields: string) => `{"source_agent":"H","action":"h",${fields}}`;

  const bodies: [name: string, body: string | Buffer, status: number][] = [
    ['nothing', '', 400],
    ['blanks', ' \n', 400],
    ['broken JSON', '{"source_agent":', 400],
    ['a single quote', "{'source_agent':'a'}", 400],
    ['a comment', '{} // hello', 400],
    ['two values', '{}{}', 400],
    ['NaN', event('"details":{"a":NaN}'), 400],
    ['a raw NUL', event('"target":"a\0b"'), 400],
    ['an escaped NUL', event('"target":"a\\u0000b"'), 422],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 400],
    ['UTF-16', Buffer.from('{"source_agent":"a"}', 'utf16le'), 400],
    ['half of a surrogate pair', event('"target":"\\ud800"'), 422],
    ['a list', '[]', 422],
    ['a string', '"hello"', 422],
    ['null', 'null', 422],
    ['a number', '1', 422],
    ['nesting of 10,000 lists', event(`"details":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`), 422],
    ['nesting of 10,000 objects', event(`"details":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), 422],
    ['unclosed nesting', '['.repeat(200_000), 400],
    ['a number as a name', '{"source_agent":1,"action":"h"}', 422],
    ['a name of 10,000 characters', `{"source_agent":"${'a'.repeat(10_000)}","action":"h"}`, 422],
    ['an empty name', '{"source_agent":"","action":"h"}', 422],
    ['a name with a line break', '{"source_agent":"a\\nb","action":"h"}', 422],
    ['details as a list', event('"details":[1]'), 422],
    ['details as a string', event('"details":"x"'), 422],
    ['a negative timeout', event('"requires_human":true,"human_timeout_minutes":-1'), 422],
    ['a huge timeout', event('"requires_human":true,"human_timeout_minutes":1e300'), 422],
    ['a timeout as text', event('"requires_human":true,"human_timeout_minutes":"5"'), 422],
    ['1,000,000 as a string for requires_human', event('"requires_human":"true"'), 422],
    ['a reserved id', event('"id":"pending"'), 422],
    ['an id with a blank', event('"id":"a b"'), 422],
    ['an id of 201 characters', event(`"id":"${'a'.repeat(201)}"`), 422],
    ['10,000 options', event(`"requires_human":true,"human_options":[${'"a",'.repeat(9_999)}"a"]`), 422],
  ];
  for (const [name, body, status] of bodies)
    it(`a body of ${name} is refused with ${status}`, async () => {
      await refusal(await post(body), status);
    });

  it('every mistake of a body is told at once, each with a pointer', async () => {
    const problem = await refusal(await post('{"source_agent":1,"details":[],"human_options":"yes"}'), 422);
    assert.deepEqual(
      problem.errors.map((one: Wire) => one.pointer),
      ['/source_agent', '/action', '/details', '/human_options'],
    );
  });

  it('duplicate keys, __proto__ and constructor are data like any other', async () => {
    const response = await post(
      event(
        '"action":"last","details":{"__proto__":{"x":1},"constructor":{"y":2}},"__proto__":{"requires_human":true}',
      ),
    );
    const stored = (await response.json()) as Wire;
    assert.equal(response.status, 201);
    assert.equal(stored.warnings[0].pointer, '/__proto__');
    const text = await (await fetch(`${bus.url}/events/${stored.id}`)).text();
    assert.match(text, /"action":"last"/);
    assert.match(text, /"details":\{"__proto__":\{"x":1\},"constructor":\{"y":2\}\}/);
    assert.match(text, /"requires_human":false/);
  });

  it('a byte order mark is tolerated', async () => {
    assert.equal((await post(`\ufeff${event('"target":"bom"')}`)).status, 201);
  });

  it('a body of just the limit is taken, one byte more is not', async () => {
    const filled = (bytes: number) =>
      event(`"details":{"x":"${'x'.repeat(bytes - event('"details":{"x":""}').length)}"}`);
    assert.equal((await post(filled(256 * 1024))).status, 201);
    await refusal(await post(filled(256 * 1024 + 1)), 413);
  });

  it('a body of 10 MB is refused, with its length and in chunks, and the sender reads why', async () => {
    const large = Buffer.alloc(10 * 1024 * 1024, 'x');
    await refusal(await post(large), 413);
    const stream = new Blob([large]).stream();
    const init = { method: 'POST', body: stream, duplex: 'half' };
    await refusal(await fetch(`${bus.url}/events`, init as RequestInit), 413);
  });

  it('a Content-Type that is not JSON is refused with 415', async () => {
    for (const type of [
      'text/html',
      'application/xml',
      'multipart/form-data; boundary=x',
      'image/png',
      'nonsense',
      ';',
    ])
      assert.match(
        (await refusal(await post(event('"target":"t"'), { 'content-type': type }), 415)).hint,
        /application\/json/,
        type,
      );
    const avro = await refusal(await post('{}', { 'content-type': 'application/cloudevents+avro' }), 415);
    assert.match(avro.detail, /does not take "application\/cloudevents\+avro"/);
  });

  it('a call that needs no body does not judge the Content-Type', async () => {
    const { id } = (await (await post(event('"target":"t"'))).json()) as Wire;
    const init = { method: 'POST', headers: { 'content-type': 'nonsense' }, body: 'x' };
    assert.equal((await fetch(`${bus.url}/events/${id}/acknowledge?agent=A`, init)).status, 200);
    await refusal(await fetch(`${bus.url}/nowhere`, init), 404);
  });

  it('wrong paths, methods and parameters are refused with a way on', async () => {
    const cases: [method: string, path: string, status: number][] = [
      ['GET', '/events/%', 400],
      ['GET', '/events/%zz', 400],
      ['GET', '/events/%00', 404],
      ['GET', '/events/%ff', 400],
      ['GET', `/events/${'a'.repeat(10_000)}`, 404],
      ['GET', `/agents/${'a'.repeat(10_000)}/events`, 422],
      ['GET', `/agents/${'%F0%9F%98%80'.repeat(201)}/events`, 422],
      ['GET', '/agents/%00/events', 422],
      ['GET', '/agents/%0A/events', 422],
      ['GET', '/agents//events', 422],
      ['GET', '/events/pending', 404],
      ['GET', '/events/stream?after=nonsense', 422],
      ['GET', '/events/stream?after=00000000.1', 410],
      ['GET', '/events/stream?from=never', 422],
      ['POST', '/events/stream', 405],
      ['GET', '/events/', 404],
      ['GET', '/events//', 404],
      ['GET', '/nowhere', 404],
      ['POST', '/nowhere', 404],
      ['GET', '/__proto__', 404],
      ['GET', '/events/__proto__', 404],
      ['GET', '/events/constructor/acknowledge', 405],
      ['POST', '/events/a/b/c:cancel', 404],
      ['POST', '/events/:cancel', 405],
      ['DELETE', '/events', 405],
      ['PUT', '/events/a', 405],
      ['PATCH', '/health', 405],
      ['OPTIONS', '/events', 405],
      ['POST', '/events/pending/human', 405],
      ['GET', '/events?limit=1&limit=2', 422],
      ['GET', '/events?before=nonsense', 422],
      ['GET', `/events?before=${'1'.repeat(10_000)}`, 422],
      ['GET', '/events?before=00000000.1', 410],
      ['GET', '/agents/A/events?before=00000000.1', 410],
      ['GET', '/agents/A/events?unacknowledged_only=maybe', 422],
      ['GET', '/events/pending/human?after=nonsense', 422],
      ['GET', '/events?status=nonsense', 422],
      ['GET', `/events?action=${'a'.repeat(10_000)}`, 422],
      ['GET', '/events?action=%00', 422],
      ['POST', '/events/x/acknowledge?agent=%00', 422],
      ['POST', `/events/x/acknowledge?agent=${'a'.repeat(201)}`, 422],
      ['PATCH', '/subscriptions/%00', 400],
      ['DELETE', '/subscriptions/%00', 404],
    ];
    for (const [method, path, status] of cases) {
      const response = await fetch(bus.url + path, { method });
      await refusal(response, status).catch((error) => {
        throw new Error(`${method} ${path.slice(0, 60)}: ${error.message}`);
      });
      if (status === 405) assert.ok(response.headers.get('allow'), path);
    }
    assert.match((await refusal(await fetch(`${bus.url}/nowhere`), 404)).hint, /\/docs/);
  });

  it('unknown parameters and fields are ignored and told', async () => {
    const listed = await call.get('/events?limt=1&__proto__=1&%E2%82=x');
    assert.equal(listed.status, 200);
    assert.match(listed.body.warnings[0].detail, /did you mean limit\?/);
    assert.equal(listed.body.warnings.length, 3);
    const published = await call.post('/events?x=1', { source_agent: 'H', action: 'h', tarrget: 'x' });
    assert.deepEqual(
      published.body.warnings.map((one: Wire) => one.pointer),
      ['x', '/tarrget'],
    );
    const many = new URLSearchParams(Array.from({ length: 1000 }, (_, i) => [`k${i}`, '1'])).toString();
    assert.ok((await call.get(`/events?${many}`)).body.warnings.length <= 20);
  });

  it('any text as a body gets an answer below 500', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        assert.ok((await post(Buffer.from(bytes))).status < 500);
      }),
      { numRuns: 60 },
    );
  });

  it('any value in any field gets an answer below 500', async () => {
    const fields = ['source_agent', 'details', 'human_options', 'human_timeout_minutes', 'escalation', 'id', 'tags'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fields), fc.jsonValue(), async (field, value) => {
        const draft = { source_agent: 'FUZZ', action: 'fuzzed', requires_human: true, [field]: value };
        assert.ok((await post(JSON.stringify(draft))).status < 500);
      }),
      { numRuns: 150 },
    );
  });

  it('any text in a path or a query gets an answer below 500', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 20 }), async (text) => {
        const one = encodeURIComponent(text.toWellFormed());
        for (const path of [
          `/events/${one}`,
          `/agents/${one}/events`,
          `/events?${one}=${one}`,
          `/explain?action=${one}`,
        ])
          assert.ok((await fetch(bus.url + path)).status < 500, path);
      }),
      { numRuns: 60 },
    );
  });

  /** Sends bytes as they are and answers all that comes back until the other side hangs up, or after a pause. */
});
