import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { anEvent } from '../src/agents/agent.fixtures.ts';
import { traceOf } from '../src/agents/atlas/trace.ts';
import { Fault } from '../src/base/fault.ts';
import type { EventsQuery } from '../src/client/client.ts';
import type { Event } from '../src/events/event.ts';

/** However long the log is, and however large its events: so many pages, and events for what led to this one. */
const maxPages = 100;
const maxEvents = 101;
/** Of JavaScript objects. The events that are looked through are five times as large. */
const maxHeapMiB = 64;
const maxPageBytes = 4 * 1024 * 1024;
/** So that as many events are looked through as there ever are. */
const largeBytes = 20_000;

const never = new AbortController().signal;

/**
 * A log of so many events of one matter, each of which followed from the one before, or all from the first. It makes them when they are asked
 * for, so that it keeps none itself.
 */
function longLog(length: number, shape: 'chain' | 'star', detailBytes: number) {
  const asked = { pages: 0, events: 0 };
  const eventAt = (n: number): Event =>
    anEvent({
      ...{ id: `n${n}`, timestamp: new Date(n).toISOString(), status: 'pending', target: null, human_question: null },
      ...{
        causation_id: n === 0 ? null : shape === 'chain' ? `n${n - 1}` : 'n0',
        correlation_id: shape === 'chain' && n > 0 ? 'n0' : null,
      },
      // As the client gives it: a text that was repeated would not be in memory as such.
      details: { says: Buffer.alloc(detailBytes, `${n} `).toString('latin1') },
    });
  return {
    asked,
    async event(id: string) {
      asked.events++;
      if (!/^n\d+$/.test(id)) throw new Fault('not-found', `No event ${id}.`);
      return eventAt(Number(id.slice(1)));
    },
    async events({ limit = 0, before = String(length) }: EventsQuery = {}) {
      asked.pages++;
      const from = Number(before);
      // As the bus does: a page of large events holds fewer.
      const count = Math.min(limit, from, Math.ceil(maxPageBytes / detailBytes));
      const events = Array.from({ length: count }, (_, at) => eventAt(from - 1 - at));
      return { events, count, next: from - count > 0 ? String(from - count) : null };
    },
  };
}

/** In a process of its own, whose heap is bounded. */
if (process.argv[2] === 'trace') {
  const bus = longLog(40_000, process.argv[3] as 'chain', largeBytes);
  const { trace } = await traceOf(bus, 'n39999', never);
  console.log(JSON.stringify({ told: (trace as unknown[]).length, ...bus.asked }));
} else
  describe('a trace through many thousand events', () => {
    for (const shape of ['chain', 'star'] as const) {
      it(`asks the bus no more often where the log is longer (${shape})`, async () => {
        const counts: { pages: number; events: number }[] = [];
        for (const [length, bytes] of [
          [25_000, 10],
          [50_000, 10],
          [100_000, 10],
          [25_000, 200_000],
          [50_000, 200_000],
        ] as const) {
          const bus = longLog(length, shape, bytes);
          const { trace, is_whole } = await traceOf(bus, `n${length - 1}`, never);
          assert.ok((trace as unknown[]).length <= 500);
          assert.equal(is_whole, false);
          counts.push(bus.asked);
        }
        for (const { pages, events } of counts) {
          assert.ok(pages <= maxPages, `${pages} pages`);
          assert.ok(events <= maxEvents, `${events} events`);
        }
        assert.deepEqual([counts[1], counts[2]], [counts[0], counts[0]]);
        assert.deepEqual(counts[4], counts[3]);
      });

      it(`needs no more than ${maxHeapMiB} MiB (${shape})`, () => {
        const words = [`--max-old-space-size=${maxHeapMiB}`, import.meta.filename, 'trace', shape];
        const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
        assert.equal(status, 0, stderr.slice(0, 2000));
        assert.ok(JSON.parse(stdout).pages * maxPageBytes > 5 * maxHeapMiB * 1024 * 1024);
      });
    }
  });
