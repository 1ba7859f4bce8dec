import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { auditFile, auditOverHttp, type Checked } from './audit.ts';
import { killWhileStarting, startBus } from './bus-process.ts';
import { call } from './call.ts';
import { fleetOf } from './fleet.ts';
import { randomOf } from './random.ts';
import { slowWrites } from './slow-writes.ts';

const rounds = Number(process.env.CRASH_ROUNDS ?? 100);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const limitMs = 60_000 + rounds * 10_000;
/** Now a busy fleet, now a quiet one. */
const pausesMs = [0, 0, 4, 20];
const maxWaitMs = 3_000;
const sweepLimitMs = 10_000;

describe('kill -9', () => {
  it(`keeps every promise of the bus through ${rounds} kills`, { timeout: limitMs }, async (t) => {
    t.diagnostic(`CRASH_SEED=${seed} CRASH_ROUNDS=${rounds}`);
    const folder = mkdtempSync(join(tmpdir(), 'crash-'));
    const home = join(folder, 'home');
    const slowly = slowWrites(folder);
    if (!slowly) t.diagnostic('LEFT OUT: rounds with slow writes (no gcc), so an early answer is noticed less often');
    const random = randomOf(seed);
    const fleet = fleetOf(random);
    let checked: Checked = { published: 0, acknowledged: 0, resolved: 0 };
    let bus = await startBus({ home, env: slowly });
    t.after(async () => {
      await bus.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    for (let round = 1; round <= rounds; round++) {
      fleet.run(bus.url, random.pick(pausesMs) ?? 0);
      // Either at any moment, or right after a promise, when a bus that answered too early would break it.
      if (random.chance(0.5)) await pause(random.whole(30, 700));
      else await Promise.race([fleet.promised(random.whole(1, 200)), pause(maxWaitMs)]);
      const ended = await bus.kill('SIGKILL');
      await fleet.stop();
      assert.equal(ended.signal, 'SIGKILL', `the bus ended by itself:\n${ended.output}`);
      if (random.chance(0.15)) await killWhileStarting({ home }, random.whole(20, 900));
      bus = await startBus({ home, env: random.chance(0.5) ? slowly : undefined });
      checked = await auditOverHttp(bus.url, fleet.promises, checked);
      if (round % 10 === 0) t.diagnostic(`round ${round}: ${checked.published} publishes stand`);
    }
    await everyDeadlineIsKept(bus.url);
    await auditOverHttp(bus.url, fleet.promises, { published: 0, acknowledged: 0, resolved: 0 });
    t.diagnostic(`the streams gave each of ${await fleet.caughtUp(bus.url)} events once and in order`);
    const stopped = await bus.kill('SIGTERM');
    assert.equal(stopped.code, 0, `a clean stop after all that:\n${stopped.output}`);
    report(t, fleet.promises, auditFile(join(home, 'control-plane/event-bus/events.db'), fleet.promises));
  });
});

/** Also deadlines that passed while the bus was down. */
async function everyDeadlineIsKept(url: string): Promise<void> {
  const end = performance.now() + sweepLimitMs;
  for (;;) {
    const reply = await call(url, 'GET', '/events/pending/human?limit=1000');
    assert.equal(reply?.status, 200);
    const { pending } = reply.body as { pending: { id: string; timeout_at: string | null }[] };
    const late = pending.filter(({ timeout_at }) => timeout_at !== null && Date.parse(timeout_at) < Date.now() - 2_000);
    if (late.length === 0 && !pending.some(({ timeout_at }) => timeout_at !== null)) return;
    assert.ok(performance.now() < end, `deadlines that nobody applied: ${JSON.stringify(late.slice(0, 3))}`);
    await pause(100);
  }
}

function report(t: TestContext, promises: ReturnType<typeof fleetOf>['promises'], file: string): void {
  const { published, acknowledged, resolved, sentAgain } = promises;
  t.diagnostic(
    `promised: ${published.length} publishes, ${acknowledged.length} acknowledgements, ${resolved.length} resolutions seen; ` +
      `${sentAgain} publishes were cut off and sent again; the file has ${file}`,
  );
  assert.ok(published.length > rounds, 'too little was promised for this to prove anything');
}
