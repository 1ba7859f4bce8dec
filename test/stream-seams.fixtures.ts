import assert from 'node:assert/strict';
import { openReader, type Reader } from './bus-reader.fixtures.ts';
import type { BusProcess } from './bus-server.fixtures.ts';

export type Seams = { events: number; cuts: number; readers: number };

type Options = {
  /** Readers, each cut again and again. */
  readers: number;
  /** Publishing goes on until so many cuts have been made. */
  cuts: number;
  publishers: number;
  random: () => number;
};

/** The longest that a reader is connected before it is cut, in milliseconds. */
const longestMs = 25;

/**
 * Publishes without a pause while readers are cut at random moments and come back with what they saw last. Each must have
 * got each event that fits once, in the order of the log.
 */
export async function testSeams(bus: BusProcess, { readers, cuts, publishers, random }: Options): Promise<Seams> {
  let made = 0;
  const isPublishing = () => made < cuts;
  const published: { seq: number; action: string }[] = [];
  const start = await publish(bus, 'first');

  const publishing = Array.from({ length: publishers }, async () => {
    for (let i = 0; isPublishing(); i++) {
      const action = i % 3 === 0 ? 'seam_rare' : 'seam_usual';
      // Now and then a large one, so that a page holds a few only.
      const bookmark = await publish(bus, action, random() < 0.02 ? 100_000 : 0);
      published.push({ seq: seqOf(bookmark), action });
    }
  });
  const reading = Array.from({ length: readers }, async (_, i) => {
    const pattern = i % 3 === 2 ? '*_rare' : '*';
    const seen: number[] = [];
    let lastId = start;
    const read = async (until: (reader: Reader) => Promise<unknown>) => {
      const reader = await openReader(`${bus.url}/events/stream?action=${pattern}`, { 'last-event-id': lastId });
      assert.equal(reader.response.statusCode, 200, 'no bookmark is refused');
      await until(reader);
      reader.leave();
      await reader.ended;
      seen.push(...reader.messages().map(({ bookmark }) => seqOf(bookmark)));
      lastId = reader.lastId() ?? lastId;
    };
    for (; isPublishing(); made++) await read(() => new Promise((go) => setTimeout(go, random() * longestMs)));
    return { pattern, seen, readOn: (last: string) => read((r) => r.until(() => r.lastId() === last, 'last event')) };
  });
  const got = await Promise.all(reading);
  await Promise.all(publishing);
  const last = await publish(bus, 'seam_rare');
  const order = [...published, { seq: seqOf(last), action: 'seam_rare' }].sort((a, b) => a.seq - b.seq);
  for (const { pattern, seen, readOn } of got) {
    await readOn(last);
    const fitting = order.filter(({ action }) => pattern === '*' || action === 'seam_rare').map(({ seq }) => seq);
    assert.deepEqual(seen, fitting, 'each event that fits, once and in order');
  }
  return { events: order.length, cuts: made, readers };
}

function seqOf(bookmark: string): number {
  return Number(bookmark.split('.')[1]);
}

async function publish(bus: BusProcess, action: string, padding = 0): Promise<string> {
  const details = padding > 0 ? { pad: 'x'.repeat(padding) } : undefined;
  const body = JSON.stringify({ source_agent: 'SEAM', action, details });
  const response = await fetch(`${bus.url}/events`, { method: 'POST', body });
  assert.equal(response.status, 201);
  return ((await response.json()) as { bookmark: string }).bookmark;
}
