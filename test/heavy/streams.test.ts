import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, type ClientRequest, get, type IncomingMessage, request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { sseReader } from '../../src/client/sse.ts';
import { openReader, type Reader } from '../bus-reader.fixtures.ts';
import { type BusProcess, startBusProcess } from '../bus-server.fixtures.ts';
import { randomOf } from '../crash/random.ts';
import { testSeams } from '../stream-seams.fixtures.ts';

/** What takes minutes: `npm run test:heavy`. Figures are printed; only what must never happen fails. */
const linux = { skip: process.platform === 'linux' ? false : 'memory is read from /proc' };
const longMs = 600_000;

function megabytes({ pid }: BusProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function end(bus: BusProcess): Promise<void> {
  assert.equal(await bus.stop(), 0);
  assert.equal(bus.log(), '');
}

function publisherOf(bus: BusProcess, t: TestContext) {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  t.after(() => agent.destroy());
  return (fields: object) =>
    new Promise<number>((resolve, reject) => {
      const sent = request(`${bus.url}/events`, { method: 'POST', agent }, (response) => {
        response.resume().once('end', () => resolve(response.statusCode ?? 0));
      });
      sent.once('error', reject).end(JSON.stringify({ source_agent: 'HEAVY', action: 'happened', ...fields }));
    });
}

/** A reader that takes as many bytes as it is told to. */
async function pacedReader({ url }: BusProcess) {
  const response = await new Promise<IncomingMessage>((resolve) =>
    get(`${url}/events/stream`, { agent: false }, resolve),
  );
  const read = sseReader();
  const seqs: number[] = [];
  let taken = 0;
  const note = (bytes: Buffer) => {
    taken += bytes.length;
    for (const { id, data } of read(bytes)) if (data !== undefined) seqs.push(Number(id?.split('.')[1]));
  };
  return {
    taken: () => taken,
    take(bytes: number) {
      for (let left = bytes; left > 0; ) {
        const chunk = response.read(Math.min(left, response.readableLength)) as Buffer | null;
        if (chunk === null) return;
        left -= chunk.length;
        note(chunk);
      }
    },
    async rest(count: number) {
      response.on('data', note);
      while (seqs.length < count) await pause(20);
      return seqs;
    },
    leave: () => void response.destroy(),
  };
}

/** A reader that looks at targets alone, so that a hundred of them in one process keep up. */
function timingReader({ url }: BusProcess, saw: (target: string) => void) {
  return new Promise<ClientRequest>((resolve) => {
    const sent = get(`${url}/events/stream`, { agent: false }, (response) => {
      response.on('error', () => undefined);
      response.on('data', (bytes: Buffer) => {
        for (let at = bytes.indexOf('"target":"'); at !== -1; at = bytes.indexOf('"target":"', at + 1))
          saw(bytes.toString('latin1', at + 10, bytes.indexOf('"', at + 10)));
      });
      resolve(sent);
    });
    sent.on('error', () => undefined);
  });
}

describe('streams under load', { concurrency: 1 }, () => {
  it('have no gap and no repeat over 10,000 cuts', { timeout: longMs }, async (t) => {
    const bus = await startBusProcess({ worker: true }, t);
    const seed = Number(process.env.SEED ?? Date.now() % 1e6);
    t.diagnostic(`SEED=${seed}`);
    const { events, cuts } = await testSeams(bus, {
      readers: 16,
      cuts: 10_000,
      publishers: 4,
      random: randomOf(seed).next,
    });
    t.diagnostic(`${events} events, ${cuts} cuts, ${megabytes(bus).toFixed(0)} MiB`);
    await end(bus);
  });

  it('take no memory for a reader at a tenth of the speed', { timeout: longMs, ...linux }, async (t) => {
    const bus = await startBusProcess({ worker: true }, t);
    const publish = publisherOf(bus, t);
    const pad = 'x'.repeat(20_000);
    const total = 10_000 * pad.length;
    const flood = async (count: number, done: (bytes: number) => void = () => undefined) => {
      for (let i = 0; i < count; i += 16) {
        await Promise.all(Array.from({ length: 16 }, () => publish({ details: { pad } })));
        done(16 * pad.length);
      }
    };
    await flood(2_000);
    await flood(2_000);
    const before = megabytes(bus);
    const fast = await openReader(`${bus.url}/events/stream`);
    const slow = await pacedReader(bus);
    let highest = before;
    await flood(10_000, (bytes) => {
      highest = Math.max(highest, megabytes(bus));
      slow.take(bytes / 10);
    });
    t.diagnostic(`${before.toFixed(0)} MiB before, ${highest.toFixed(0)} MiB at most, while it fell behind`);
    t.diagnostic(
      `the slow reader has taken ${(slow.taken() / 2 ** 20).toFixed(0)} MiB of ${(total / 2 ** 20).toFixed(0)}`,
    );
    await fast.has(10_000);
    assert.ok(highest - before < 100, 'what it has not read does not lie in memory');
    const seqs = await slow.rest(10_000);
    assert.deepEqual(
      seqs,
      Array.from(seqs, (_, i) => (seqs[0] as number) + i),
      'it misses nothing all the same',
    );
    fast.leave();
    slow.leave();
    await end(bus);
  });

  it('cost little while they are idle, and 1,000 readers may leave at once', {
    timeout: longMs,
    ...linux,
  }, async (t) => {
    const bus = await startBusProcess({ worker: true, streamLimits: { maxStreams: 1000 } }, t);
    const publish = publisherOf(bus, t);
    for (let i = 0; i < 500; i++) await publish({});
    const before = megabytes(bus);
    const readers: Reader[] = [];
    for (let i = 0; i < 1000; i += 50)
      readers.push(...(await Promise.all(Array.from({ length: 50 }, () => openReader(`${bus.url}/events/stream`)))));
    await pause(1000);
    const idle = megabytes(bus);
    t.diagnostic(`${before.toFixed(0)} MiB without, ${idle.toFixed(0)} MiB with 1,000 idle streams`);
    assert.ok(idle < 250);
    for (let i = 0; i < 20; i++) await publish({});
    await Promise.all(readers.map((reader) => reader.has(20)));
    const refused = await openReader(`${bus.url}/events/stream`);
    assert.equal(refused.response.statusCode, 429);
    let worst = 0;
    let isLeaving = true;
    const publishing = (async () => {
      while (isLeaving) {
        const sent = performance.now();
        assert.equal(await publish({}), 201);
        worst = Math.max(worst, performance.now() - sent);
      }
    })();
    const left = performance.now();
    for (const reader of readers) reader.leave();
    for (;;) {
      const again = await openReader(`${bus.url}/events/stream`);
      again.leave();
      if (again.response.statusCode === 200) break;
      assert.ok(performance.now() - left < 5000, 'their places are not free again');
    }
    await pause(500);
    isLeaving = false;
    await publishing;
    const all = await Promise.all(Array.from({ length: 990 }, () => openReader(`${bus.url}/events/stream`)));
    assert.ok(
      all.every(({ response }) => response.statusCode === 200),
      'all places are free again',
    );
    for (const reader of all) reader.leave();
    t.diagnostic(
      `the slowest publish meanwhile took ${worst.toFixed(0)} ms; ${megabytes(bus).toFixed(0)} MiB afterwards`,
    );
    await end(bus);
  });

  it('tell what happens soon', { timeout: longMs }, async (t) => {
    const bus = await startBusProcess({ worker: true }, t);
    const publish = publisherOf(bus, t);
    for (const subscribers of [1, 100]) {
      const sentAt = new Map<string, number>();
      const tookMs: number[] = [];
      const saw = (target: string) => void tookMs.push(performance.now() - (sentAt.get(target) as number));
      const readers = await Promise.all(Array.from({ length: subscribers }, () => timingReader(bus, saw)));
      const start = performance.now();
      for (let i = 0; i < 2000; i++) {
        const early = start + i * 5 - performance.now();
        if (early > 1) await pause(early);
        sentAt.set(String(i), performance.now());
        void publish({ target: String(i) });
      }
      while (tookMs.length < subscribers * 2000) await pause(20);
      tookMs.sort((a, b) => a - b);
      const at = (share: number) => tookMs[Math.floor(tookMs.length * share)]?.toFixed(2);
      t.diagnostic(`${subscribers} at 200/s: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
      for (const reader of readers) reader.destroy();
    }
    await end(bus);
  });

  it('stay open while nothing happens, and end where nothing moves', { timeout: longMs }, async (t) => {
    const bus = await startBusProcess({ worker: true, streamLimits: { maxStreams: 2 } }, t);
    const publish = publisherOf(bus, t);
    const idle = await openReader(`${bus.url}/events/stream?action=never`);
    const stuck = await openReader(`${bus.url}/events/stream`);
    stuck.response.pause();
    for (let i = 0; i < 100; i++) await publish({ details: { pad: 'x'.repeat(200_000) } });
    assert.equal((await openReader(`${bus.url}/events/stream`)).response.statusCode, 429);
    // Node looks every 90 s whether anything has moved, and cuts off at the second look at the latest.
    await pause(190_000);
    assert.ok((idle.text().match(/: heartbeat/g)?.length ?? 0) >= 11);
    const third = await openReader(`${bus.url}/events/stream`);
    assert.equal(third.response.statusCode, 200, 'who takes nothing for minutes is cut off');
    await publish({ action: 'never' });
    await idle.has(1);
    for (const reader of [idle, stuck, third]) reader.leave();
    await end(bus);
  });
});
