import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type BusProcess, startBusProcess, temporaryHome } from '../bus-server.fixtures.ts';
import { call } from '../crash/call.ts';
import { randomOf } from '../crash/random.ts';
import { type Agent, crewOf, hears, type Sent } from './crew.ts';

const rounds = Number(process.env.MODEL_ROUNDS ?? 30);
const seed = Number(process.env.MODEL_SEED ?? Date.now() % 1_000_000);
const limitMs = 60_000 + rounds * 10_000;
/** What hears nothing with priority 1 may be purged while the others work. */
const yaml = `bus:
  retention:
    - { actions: 'green_*', max_count: 40 }
`;
const maxDrains = 20;

describe('deliveries over real processes', () => {
  it(`keep every promise through ${rounds} crashes and a clock that jumps`, { timeout: limitMs }, async (t) => {
    t.diagnostic(`MODEL_SEED=${seed} MODEL_ROUNDS=${rounds}`);
    const random = randomOf(seed);
    const crew = crewOf(random);
    const home = temporaryHome(t);
    let aheadMs = 0;
    const start = () => startBusProcess({ home, yaml, aheadMs }, t);
    const move = async (bus: BusProcess, ms: number) => {
      aheadMs += ms;
      await bus.advance(ms);
    };
    let bus = await start();
    await crew.subscribe(bus.url);
    for (let round = 1; round <= rounds; round++) {
      crew.run(bus.url);
      const until = performance.now() + random.whole(200, 900);
      while (performance.now() < until) {
        await pause(random.whole(10, 80));
        if (random.chance(0.5)) await move(bus, random.whole(1, 25_000));
      }
      await bus.kill();
      await crew.stop();
      // Also leases that ran out, and delays that passed, while nobody was there.
      if (random.chance(0.3)) aheadMs += random.whole(0, 120_000);
      bus = await start();
    }
    for (let n = 0; ; n++) {
      assert.ok(n < maxDrains, 'there is always more to drain');
      await move(bus, 600_000);
      await pause(50);
      if ((await crew.drain(bus.url)) === 0 && n > 1) break;
    }
    for (const sent of crew.published.values()) await reachedEveryone(bus.url, sent);
    assert.equal(await bus.stop(), 0, bus.log());
    const { counts, known, published } = crew;
    t.diagnostic(JSON.stringify({ published: published.size, ...known.counts, ...counts }));
    for (const [what, number] of Object.entries({ ...known.counts, ...counts }))
      assert.ok(number > 0, `nothing was ${what}, so this proved too little`);
  });
});

/** Nothing is lost: each agent that heard it has acknowledged it in the end, or it was purged as the rule says. */
async function reachedEveryone(url: string, { id, action }: Sent): Promise<void> {
  const reply = await call(url, 'GET', `/events/${id}`);
  if (reply?.status === 404) {
    assert.match(action, /^green_/, `${id} is gone, and nothing allows to purge ${action}`);
    return;
  }
  assert.equal(reply?.status, 200, id);
  const { acknowledged_by: by, status } = reply.body as { acknowledged_by: Record<string, string>; status: string };
  for (const agent of Object.keys(hears) as Agent[])
    if (Object.keys(hears[agent]).some((pattern) => pattern === '*' || action.startsWith(pattern.slice(0, -1))))
      assert.ok(by[agent], `${id} (${action}) never reached ${agent}: ${JSON.stringify(reply?.body)}`);
  assert.equal(status, 'acknowledged', id);
}
