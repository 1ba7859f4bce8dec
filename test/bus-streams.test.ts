import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EventSource } from 'eventsource';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { openReader } from './bus-reader.fixtures.ts';
import { type BusProcess, startBusProcess, temporaryHome, unshakenBus } from './bus-server.fixtures.ts';

const targets = (messages: readonly Wire[]) => messages.map(({ target }) => target);

describe('following events', () => {
  const unshaken = unshakenBus();
  let bus: BusProcess;
  let call: Caller;
  const stream = (query = '', headers = {}) => openReader(`${bus.url}/events/stream${query}`, headers);
  before(async () => {
    bus = unshaken.bus();
    call = await callerOf(bus);
  });

  it('sends what happens from now on, as GET /events/{id} gives it, with its bookmark as the id', async () => {
    await call.publish({ action: 'before' });
    const reader = await stream();
    assert.match(reader.response.headers['content-type'] ?? '', /^text\/event-stream/);
    assert.equal(reader.response.headers['x-accel-buffering'], 'no');
    assert.equal(reader.response.headers['x-content-type-options'], 'nosniff');
    assert.equal(reader.response.headers['cache-control'], 'no-store');
    const { id } = await call.publish({ action: 'now', target: 'a\n\nb\r\u2028', details: { 'data: x': '\n\nid: 1' } });
    const [event] = await reader.has(1);
    assert.deepEqual(event, (await call.get(`/events/${id}`)).body);
    assert.equal(reader.lastId(), event.bookmark);
    assert.equal(reader.blocks[0]?.retryMs, 2000);
    reader.leave();
  });

  it('begins after a bookmark, with the last so many, or with the oldest', async () => {
    const first = await call.publish({ action: 'begin', target: '1' });
    for (const target of ['2', '3', '4']) await call.publish({ action: 'begin', target });
    for (const [query, headers, expected] of [
      [`?after=${first.bookmark}`, {}, ['2', '3', '4']],
      ['?last=2', {}, ['3', '4']],
      ['?last=3&action=beg*n', {}, ['2', '3', '4']],
      ['?from=start&action=begin', {}, ['1', '2', '3', '4']],
      ['?from=start', { 'last-event-id': first.bookmark }, ['2', '3', '4']],
      ['?last=1', { 'last-event-id': first.bookmark }, ['2', '3', '4']],
      [`?after=rubbish&action=begin`, { 'last-event-id': first.bookmark }, ['2', '3', '4']],
      ['?last=2&action=begin', { 'last-event-id': '' }, ['3', '4']],
    ] as const) {
      const reader = await stream(query, headers);
      assert.deepEqual(targets(await reader.has(expected.length)).slice(-expected.length), expected, query);
      reader.leave();
    }
  });

  it('sends only what fits: pattern, source and who hears it, also of what is stored', async () => {
    const reader = await stream('?action=*_failed&source_agent=FILTER&agent=HERMES');
    await reader.until(() => reader.lastId() !== undefined, 'place');
    const started = reader.lastId();
    const drafts = [
      { action: 'audit_failed', source_agent: 'FILTER', target: 'fits' },
      { action: 'audit_failed', source_agent: 'OTHER', target: 'other source' },
      { action: 'audit_done', source_agent: 'FILTER', target: 'other action' },
      { action: 'nobody_hears_this_failed', source_agent: 'FILTER', target: 'perhaps not heard' },
      { action: 'backup_failed', source_agent: 'FILTER', target: 'fits too' },
    ];
    for (const draft of drafts) await call.publish(draft);
    const fitting = (await call.get('/events?source_agent=FILTER')).body.events
      .filter(({ action, subscribed_agents: heard }: Wire) => action.endsWith('_failed') && heard.includes('HERMES'))
      .map(({ target }: Wire) => target)
      .reverse();
    assert.ok(fitting.includes('fits'));
    assert.deepEqual(targets(await reader.has(fitting.length)), fitting);
    const later = await stream(`?action=*_failed&source_agent=FILTER&agent=HERMES&after=${started}`);
    assert.deepEqual(targets(await later.has(fitting.length)), fitting);
    for (const one of [reader, later]) one.leave();
  });

  it('refuses a bookmark of another life of the log, of its future, and what is none', async () => {
    const { bookmark } = await call.publish({});
    const [epoch, seq] = bookmark.split('.');
    const get = (query: string, headers: Record<string, string> = {}) =>
      fetch(`${bus.url}/events/stream${query}`, { headers }).then(async (response) => ({
        status: response.status,
        body: (await response.json()) as Wire,
      }));
    const cases: [string, Record<string, string>, number, RegExp][] = [
      ['?after=00000000.1', {}, 410, /before this log was restored/],
      ['', { 'last-event-id': '00000000.1' }, 410, /before this log was restored/],
      [`?after=${epoch}.${Number(seq) + 1000}`, {}, 410, /beyond the end/],
      ['?after=yesterday', {}, 422, /after is no bookmark/],
      ['', { 'last-event-id': 'yesterday' }, 422, /Last-Event-ID is no bookmark/],
      ['?last=0', {}, 422, /last must be 1 to 1000/],
      ['?last=1001', {}, 422, /last must be 1 to 1000/],
      ['?from=end', {}, 422, /from must be start/],
      ['?from=start&last=1', {}, 422, /two places/],
      ['?action=', {}, 200, /./],
    ];
    for (const [query, headers, status, says] of cases.slice(0, -1)) {
      const { status: answered, body } = await get(query, headers);
      assert.equal(answered, status, query);
      assert.match(body.detail, says, query);
    }
    const empty = await stream('?action=&agent=');
    assert.equal(empty.response.statusCode, 200);
    empty.leave();
  });

  it('lists a parameter that it does not know in a comment', async () => {
    const reader = await stream('?acton=x%0A%0Adata:%20y');
    await reader.until(() => reader.blocks.length > 0, 'greeting');
    assert.match(reader.text(), /^: \{"pointer":"acton".*did you mean action\?"\}\nretry/);
    assert.deepEqual(reader.messages(), []);
    reader.leave();
  });

  it('answers HEAD at once and without an end to wait for', async () => {
    const response = await fetch(`${bus.url}/events/stream`, { method: 'HEAD', signal: AbortSignal.timeout(2000) });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    assert.equal(await response.text(), '');
  });

  it('is described as what it is, and docs/streams.md names every parameter and shows calls that work', async () => {
    const { body } = await call.get('/openapi.json');
    const { responses, parameters } = body.paths['/events/stream'].get;
    const page = readFileSync(join(import.meta.dirname, '../docs/streams.md'), 'utf8');
    for (const { name } of parameters) assert.match(page, new RegExp(`^\\| \`${name}[=\`]`, 'm'), name);
    const urls = [...page.matchAll(/curl -N '([^']+)'/g)].map(([, url]) => new URL(url as string));
    assert.equal(urls.length, 3);
    for (const { pathname, search } of urls) {
      const reader = await openReader(bus.url + pathname + search);
      assert.equal(reader.response.statusCode, 200, pathname);
      await reader.until(() => reader.blocks.length > 0, 'greeting');
      assert.doesNotMatch(reader.text(), /^:/, 'no warning');
      reader.leave();
    }
    assert.deepEqual(Object.keys(responses['200'].content), ['text/event-stream']);
    for (const status of ['410', '422', '429']) assert.ok(responses[status], status);
  });

  it('is understood by a stock EventSource', async (t) => {
    const source = new EventSource(`${bus.url}/events/stream?source_agent=STOCK`);
    t.after(() => source.close());
    const got: { target: string; lastEventId: string }[] = [];
    const more = async (count: number) => {
      while (got.length < count) await new Promise((go) => source.addEventListener('message', go, { once: true }));
    };
    source.onmessage = ({ data, lastEventId }) => got.push({ target: JSON.parse(data).target, lastEventId });
    await new Promise((go) => source.addEventListener('open', go, { once: true }));
    const first = await call.publish({ source_agent: 'STOCK', target: '1' });
    await more(1);
    assert.deepEqual(got[0], { target: '1', lastEventId: first.bookmark });
    await call.publish({ source_agent: 'STOCK', target: '2' });
    await more(2);
    assert.deepEqual(
      got.map(({ target }) => target),
      ['1', '2'],
    );
  });

  it('takes a reader that ends its sending for gone', async () => {
    const socket = connect({ host: '127.0.0.1', port: bus.port, allowHalfOpen: true });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    let got = '';
    socket.setEncoding('utf8').on('data', (text) => {
      got += text;
      if (got.includes('retry')) socket.end();
    });
    socket.on('end', () => socket.destroy());
    socket.write('GET /events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await closed;
    assert.match(got, /^HTTP\/1\.1 200 [\s\S]*retry: 2000/);
  });

  it('also serves a stream that waits behind another answer on its connection', async () => {
    const { id } = await call.publish({ requires_human: true, action: 'behind' });
    const socket = connect({ host: '127.0.0.1', port: bus.port });
    socket.on('error', () => undefined);
    let got = '';
    socket.setEncoding('utf8').on('data', (text) => {
      got += text;
    });
    const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
    socket.write(request(`/events/${id}?wait=20`) + request('/events/stream?from=start') + request('/events/stream'));
    for (let i = 0; i < 40; i++) await call.publish({ details: { pad: 'x'.repeat(50_000) }, target: `behind ${i}` });
    await call.post(`/events/${id}/respond`, { response: 'yes' });
    while (!got.includes('"target":"behind 39"')) await new Promise((go) => setTimeout(go, 20));
    assert.equal(got.match(/HTTP\/1\.1 200/g)?.length, 2, 'a stream is the last on its connection');
    socket.destroy();
  });
});

describe('streams and their limits', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess({ worker: true, streamLimits: { maxStreams: 3, heartbeatMs: 60 } });
    call = await callerOf(bus);
  });
  after(() => bus.stop());
  const stream = (query = '') => openReader(`${bus.url}/events/stream${query}`);

  it('shows signs of life, which move the bookmark also of a reader whom nothing fits', async () => {
    const reader = await stream('?action=never');
    const { bookmark } = await call.publish({});
    await reader.until(() => reader.lastId() === bookmark, 'moved bookmark');
    assert.match(reader.text(), /: heartbeat\nid: /);
    assert.deepEqual(reader.messages(), []);
    reader.leave();
    const source = new EventSource(`${bus.url}/events/stream?action=wanted`);
    await new Promise((go) => source.addEventListener('open', go, { once: true }));
    const { bookmark: passed } = await call.publish({ action: 'unwanted' });
    await new Promise((go) => setTimeout(go, 200));
    await call.publish({ action: 'wanted' });
    const { lastEventId } = await new Promise<MessageEvent>((go) => source.addEventListener('message', go as never));
    assert.ok(Number(lastEventId.split('.')[1]) > Number(passed.split('.')[1]));
    source.close();
  });

  it('lets so many in and no more, says so, and has room again when one leaves', async () => {
    const readers = [await stream(), await stream(), await stream()];
    const refused = await call.get('/events/stream');
    assert.equal(refused.status, 429);
    assert.match(refused.body.detail, /3 streams are open/);
    assert.equal(refused.headers.get('retry-after'), '1');
    readers[0]?.leave();
    for (let left = 100; ; left--) {
      const reader = await stream();
      if (reader.response.statusCode === 200) {
        readers.push(reader);
        break;
      }
      assert.ok(left > 0, 'no room again');
      await new Promise((go) => setTimeout(go, 20));
    }
    for (const reader of readers) reader.leave();
  });

  it('begins with the last so many that are left after a purge', async (t) => {
    const own = await startBusProcess({ yaml: "bus: { retention: [{ actions: 'noise', max_count: 1 }] }" }, t);
    const ownCall = await callerOf(own);
    for (const target of ['1', '2', '3']) await ownCall.publish({ target });
    for (let n = 0; n < 20; n++) await ownCall.publish({ action: 'noise', target: 'noise' });
    assert.equal((await ownCall.post('/retention:run')).body.purged, 19);
    const reader = await openReader(`${own.url}/events/stream?last=4`);
    assert.deepEqual(targets(await reader.has(4)), ['2', '3', 'noise', null]);
    reader.leave();
    await own.stop();
  });

  it('has a stock EventSource back after a restart, where it was', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    const source = new EventSource(`${first.url}/events/stream`);
    t.after(() => source.close());
    const got: string[] = [];
    const because: string[] = [];
    source.onmessage = ({ data }) => got.push(JSON.parse(data).target);
    source.addEventListener('goaway', ({ data }) => because.push(JSON.parse(data).because));
    await new Promise((go) => source.addEventListener('open', go, { once: true }));
    await (await callerOf(first)).publish({ target: '1' });
    assert.equal(await first.stop(), 0);
    const second = await startBusProcess({ home, port: first.port }, t);
    await (await callerOf(second)).publish({ target: '2' });
    while (got.length < 2) await new Promise((go) => source.addEventListener('message', go, { once: true }));
    assert.deepEqual(got, ['1', '2']);
    assert.deepEqual(because, ['The bus is stopping.']);
    source.close();
    await second.stop();
  });

  it('tells every reader to go away before it stops, and does not wait for the slow ones', async () => {
    const own = await startBusProcess({ worker: true });
    const ownCall = await callerOf(own);
    const reader = await openReader(`${own.url}/events/stream`);
    const slow = await openReader(`${own.url}/events/stream?from=start`);
    slow.response.pause();
    const { bookmark } = await ownCall.publish({ target: 'last' });
    for (let i = 0; i < 100; i++) await ownCall.publish({ details: { pad: 'x'.repeat(200_000) } });
    await reader.has(101);
    const started = performance.now();
    assert.equal(await own.stop(), 0);
    assert.ok(performance.now() - started < 5000);
    await reader.ended;
    const last = reader.blocks.at(-1);
    assert.equal(last?.event, 'goaway');
    assert.equal(JSON.parse(last?.data ?? '').because, 'The bus is stopping.');
    assert.ok(last?.retryMs);
    assert.equal(reader.messages()[0].bookmark, bookmark);
    assert.equal(own.log(), '');
    slow.leave();
  });
});
