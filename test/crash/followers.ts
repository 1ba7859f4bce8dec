import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { sseReader } from '../../src/client/sse.ts';
import { call, type Reply } from './call.ts';

type Telling = {
  acknowledged(agent: string, event: string): void;
  refuse(what: string, reply: Reply, of: unknown): void;
};

const againMs = 20;
const catchUpMs = 30_000;
/** Hears some of the default actions by queue, and takes them from a stream. */
const streamed = 'HERMES';

export type Followers = {
  /** Follow the bus at this address until `stop`, from where each of them stands. */
  run(url: string): void;
  stop(): Promise<void>;
  /** Each of them has heard every event of the log, once and in order. Answers how many that were. */
  caughtUp(url: string): Promise<number>;
};

/** Readers of the log that resume after each crash, and one that takes an agent's deliveries from its stream. */
export function followersOf(readers: number, telling: Telling): Followers {
  const heard = Array.from({ length: readers }, () => ({ seq: 0, bookmark: '' }));
  let ending = new AbortController();
  let crew: Promise<void>[] = [];

  async function messages(path: string, headers: Record<string, string>, hear: (data: string, id: string) => void) {
    const response = await fetch(path, { headers, signal: ending.signal });
    assert.equal(response.status, 200, `${path}: ${response.status}`);
    const read = sseReader();
    for await (const bytes of response.body ?? [])
      for (const { event, data, id } of read(bytes)) if (event === '' && data !== undefined) hear(data, id ?? '');
  }

  /** A cut connection is what this test is about; everything else is a failure. */
  async function untilStopped(follow: () => Promise<void>): Promise<void> {
    while (!ending.signal.aborted) {
      try {
        await follow();
      } catch (error) {
        if (error instanceof assert.AssertionError)
          telling.refuse('stream', { status: 0, body: error.message }, 'a follower');
      }
      await pause(againMs);
    }
  }

  function follow(url: string, place: { seq: number; bookmark: string }): Promise<void> {
    const headers: Record<string, string> = place.bookmark === '' ? {} : { 'last-event-id': place.bookmark };
    const path = place.bookmark === '' ? '/events/stream?from=start' : '/events/stream';
    return messages(url + path, headers, (data, id) => {
      const seq = Number(id.split('.')[1]);
      assert.equal(seq, place.seq + 1, `event ${seq} came after ${place.seq}: ${data.slice(0, 100)}`);
      place.seq = seq;
      place.bookmark = id;
    });
  }

  function take(url: string): Promise<void> {
    return messages(`${url}/agents/${streamed}/stream?lease_seconds=1&max_in_flight=3`, {}, (data) => {
      const { id, lease, event } = JSON.parse(data) as { id: string; lease: string; event: { id: string } };
      void call(url, 'POST', `/agents/${streamed}/deliveries/${id}:ack`, { lease }).then((reply) => {
        if (reply?.status === 200) telling.acknowledged(streamed, event.id);
        else if (reply && reply.status !== 409) telling.refuse('ack of a streamed delivery', reply, event.id);
      });
    });
  }

  return {
    run(url) {
      ending = new AbortController();
      crew = [...heard.map((place) => untilStopped(() => follow(url, place))), untilStopped(() => take(url))];
    },
    async stop() {
      ending.abort();
      await Promise.all(crew);
    },
    async caughtUp(url) {
      const reply = await call(url, 'GET', '/health');
      assert.equal(reply?.status, 200);
      const { head } = reply.body as { head: number };
      this.run(url);
      const end = performance.now() + catchUpMs;
      while (heard.some(({ seq }) => seq < head)) {
        assert.ok(performance.now() < end, `followers stand at ${heard.map(({ seq }) => seq)}, the log at ${head}`);
        await pause(againMs);
      }
      await this.stop();
      return head;
    },
  };
}
