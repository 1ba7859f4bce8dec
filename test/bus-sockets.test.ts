import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { type Caller, callerOf } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess, unshakenBus } from './bus-server.fixtures.ts';

/** What arrives below HTTP, or as HTTP that no client library would send. */
describe('odd connections', () => {
  const unshaken = unshakenBus();
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = unshaken.bus();
    call = await callerOf(bus);
  });

  const event = (fields: string) => `{"source_agent":"H","action":"h",${fields}}`;

  const raw = (bytes: string, also?: (socket: Socket) => void): Promise<string> =>
    new Promise((resolve, reject) => {
      let got = '';
      const socket = connect({ host: '127.0.0.1', port: bus.port, allowHalfOpen: true }, () => {
        socket.write(bytes, 'latin1');
        also?.(socket);
      });
      const late = setTimeout(() => reject(new Error(`no end of the connection; so far: ${got}`)), 5000);
      socket.setEncoding('latin1').on('data', (text) => {
        got += text;
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        clearTimeout(late);
        resolve(got);
      });
      socket.on('end', () => socket.destroy());
    });
  const health = 'GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

  it('what is not HTTP gets a 400 and is hung up on', async () => {
    for (const bytes of [
      'hello\r\n\r\n',
      'GET\r\n\r\n',
      'GET /health HTTP/9.9\r\n\r\n',
      'BREW /events HTTP/1.1\r\nhost: localhost\r\n\r\n',
      'GET /health HTTP/1.1\r\nhost : localhost\r\n\r\n',
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n',
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      'POST /events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      `\x16\x03\x01\x02\x00\x01\x00`,
    ])
      assert.match(await raw(bytes), /^HTTP\/1\.1 400 [\s\S]*application\/problem\+json[\s\S]*"status":400/, bytes);
  });

  it('a request without a Host, or with an expectation that nobody can meet, reads why', async () => {
    const problem = /^HTTP\/1\.1 (\d+) [\s\S]*application\/problem\+json[\s\S]*"detail":"([^"]+)"/;
    const hostless = problem.exec(await raw('GET /health HTTP/1.1\r\nconnection: close\r\n\r\n'));
    assert.equal(hostless?.[1], '400');
    assert.match(hostless[2] as string, /no Host header/);
    const expecting = problem.exec(
      await raw('POST /events HTTP/1.1\r\nhost: localhost\r\nexpect: x\r\ncontent-length: 2\r\n\r\n{}'),
    );
    assert.equal(expecting?.[1], '417');
    assert.match(expecting[2] as string, /100-continue/);
    const body = event('"target":"continued"');
    const continued = await raw(
      `POST /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    assert.match(continued, /^HTTP\/1\.1 100 [\s\S]*HTTP\/1\.1 201 /);
  });

  it('headers beyond 16 KiB are refused with 431', async () => {
    const got = await raw(`GET /health HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`);
    assert.match(got, /^HTTP\/1\.1 431 /);
  });

  it('a request target in absolute form is served or refused like any other', async () => {
    const get = (target: string) => raw(`GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    assert.match(await get(`http://localhost:${bus.port}/health`), /^HTTP\/1\.1 200 /);
    for (const target of ['*', 'nonsense', '//', '///health', '/../../etc/passwd', '/health#x', '/%2e%2e/health'])
      assert.match(await get(target), /^HTTP\/1\.1 [234]/, target);
  });

  it('a sender that half-closes its socket still gets its answer', async () => {
    const half = (bytes: string) => raw(bytes, (socket) => socket.end());
    assert.match(await half(health), /^HTTP\/1\.1 200 /);
    const body = event('"requires_human":true');
    for (let i = 0; i < 12; i++) {
      const got = await half(
        `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      assert.match(got, /^HTTP\/1\.1 201 [\s\S]*"status":"created"/);
    }
    assert.match(await half(health.replace('connection: close\r\n', '')), /^HTTP\/1\.1 200 /);
  });

  it('a sender that half-closes its socket can wait for an answer', async () => {
    const { id } = (await call.post('/events', { source_agent: 'HALF', action: 'h', requires_human: true })).body;
    const wait = (seconds: number) =>
      raw(`GET /events/${id}?wait=${seconds} HTTP/1.1\r\nhost: localhost\r\n\r\n`, (socket) => socket.end());
    assert.match(await wait(1), /^HTTP\/1\.1 200 [\s\S]*"human_state":"open"/);
    const waiting = wait(4);
    for (let i = 0; i < 3; i++) await call.get('/health');
    await call.post(`/events/${id}/respond`, { response: 'yes' });
    assert.match(await waiting, /^HTTP\/1\.1 200 [\s\S]*"human_state":"answered"/);
  });

  it('a sender that goes away in the middle of its body stores nothing and harms nobody', async () => {
    const head =
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"source_agent":"CUT","action":"cut"';
    for (let i = 0; i < 20; i++) await raw(head, (socket) => socket.end());
    const sockets = Array.from({ length: 20 }, () => connect({ host: '127.0.0.1', port: bus.port }));
    for (const socket of sockets) socket.on('error', () => undefined).write(head, () => socket.resetAndDestroy());
    assert.equal((await call.get('/events?source_agent=CUT')).body.count, 0);
  });

  it('100 slow senders keep nobody else waiting', async () => {
    const slow = Array.from({ length: 100 }, (_, i) => {
      const socket = connect({ host: '127.0.0.1', port: bus.port });
      socket.on('error', () => undefined);
      socket.write(i % 2 ? 'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{' : 'GET /hea');
      return socket;
    });
    for (let i = 0; i < 20; i++) assert.equal((await call.get('/health')).status, 200);
    for (const socket of slow) socket.destroy();
  });

  it('many requests in one packet are answered in order', async () => {
    const one = 'GET /explain?action=a1 HTTP/1.1\r\nhost: localhost\r\n\r\n';
    const got = await raw(one.repeat(50) + health);
    assert.equal(got.split('HTTP/1.1 200').length - 1, 51);
  });

  it('what is broken is told after the answers that are owed', async () => {
    const body = event('"target":"x"');
    const one = `POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const broken = await raw(`${one.repeat(20)}GARBAGE\r\n\r\n`);
    const statuses = (got: string) => [...got.matchAll(/HTTP\/1\.1 (\d+) /g)].map((match) => match[1]);
    assert.deepEqual(statuses(broken), [...Array(20).fill('201'), '400']);
    const cut = await raw(one.repeat(3) + one.slice(0, -5), (socket) => socket.end());
    assert.deepEqual(statuses(cut), ['201', '201', '201', '400']);
    assert.match(cut, /ended before the whole request had arrived/);
  });

  const linux = { skip: process.platform === 'linux' ? false : 'memory is read from /proc' };
  it(
    'one who asks for gigabytes in one packet and reads nothing takes no more than some of the memory',
    linux,
    async (t) => {
      const own = await startBusProcess({}, t);
      const large = { source_agent: 'LARGE', action: 'a', details: { pad: 'x'.repeat(200_000) } };
      for (let i = 0; i < 20; i++) await (await callerOf(own)).post('/events', large);
      const socket = connect({ host: '127.0.0.1', port: own.port });
      t.after(() => socket.destroy());
      socket.pause().on('error', () => undefined);
      socket.write('GET /events?limit=20 HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(500));
      const megabytes = () =>
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${own.pid}/status`, 'utf8'))?.[1]) / 1024;
      for (let i = 0; i < 40; i++) {
        assert.equal((await fetch(`${own.url}/health`)).status, 200);
        assert.ok(megabytes() < 800, `${megabytes()} MB`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    },
  );

  it('a request that would smuggle another one is not taken for two', async () => {
    const got = await raw(
      'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\n12345GET /health HTTP/1.1\r\n\r\n',
    );
    assert.match(got, /^HTTP\/1\.1 400 /);
    assert.ok(!got.includes('healthy'));
  });

  it('an empty Content-Type is as good as none', async () => {
    const body = event('"target":"untyped"');
    for (const header of ['content-type:', 'content-type:  \t ']) {
      const got = await raw(
        `POST /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${header}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      assert.match(got, /^HTTP\/1\.1 201 /, header);
    }
  });
});
