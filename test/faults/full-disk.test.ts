import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { auditFile, sameContent } from '../crash/audit.ts';
import { startBus } from '../crash/bus-process.ts';
import { call, type Reply } from '../crash/call.ts';
import type { Draft, Promises } from '../crash/fleet.ts';
import { cannotMount, smallDisk } from './small-disk.ts';

const diskMebibytes = 8;
const maxPublishes = 5_000;
const recoveryLimitMs = 10_000;

const why = cannotMount();
if (why) console.log(`SKIPPED: the full disk: ${why}`);

describe('a full disk', { skip: why }, () => {
  for (const ballast of ['filled by the bus itself', 'filled by somebody else'])
    it(`${ballast}: refuses with a sentence, loses nothing, recovers by itself`, { timeout: 120_000 }, async (t) => {
      const disk = smallDisk(diskMebibytes);
      const bus = await startBus({ home: join(disk.folder, 'home') });
      t.after(async () => {
        await bus.kill('SIGKILL');
        disk.remove();
      });
      const promises: Promises = { published: [], acknowledged: [], resolved: [], refused: [], sentAgain: 0 };
      let number = 0;
      const publish = async (bytes: number): Promise<Reply> => {
        const draft: Draft = {
          source_agent: 'DISK',
          action: 'deploy_started',
          target: String(++number),
          details: { text: 'x'.repeat(bytes) },
        };
        const reply = await call(bus.url, 'POST', '/events', draft);
        assert.ok(reply, `the bus ended:\n${bus.output()}`);
        if (reply.status === 201)
          promises.published.push({ ...(reply.body as { id: string; bookmark: string }), draft });
        return reply;
      };
      for (let i = 0; i < 20; i++) assert.equal((await publish(100)).status, 201);

      if (ballast === 'filled by somebody else') disk.fill();
      const refusal = await untilRefused(() => publish(20_000));
      assert.ok([503, 507].includes(refusal.status), `${refusal.status} ${JSON.stringify(refusal.body)}`);
      const problem = refusal.body as { type: string; detail: string; status: number };
      assert.match(problem.type, /^urn:leveredge:problem:(storage-full|unavailable)$/);
      assert.match(problem.detail, /\w+ \w+.*\./, 'a sentence for a person');
      assert.equal(problem.status, refusal.status);

      const both = await Promise.all([publish(20_000), publish(20_000), publish(20_000)]);
      for (const { status } of both) assert.ok([503, 507].includes(status), `still full, and answered ${status}`);
      for (const { id, draft } of promises.published.slice(-50)) {
        const reply = await call(bus.url, 'GET', `/events/${id}`);
        assert.equal(reply?.status, 200, 'reads go on while the disk is full');
        sameContent(reply?.body as Record<string, unknown>, draft);
      }

      if (ballast === 'filled by somebody else') disk.makeRoom();
      else disk.growTo(diskMebibytes * 4);
      await untilStored(() => publish(1_000));
      for (let i = 0; i < 20; i++) assert.equal((await publish(1_000)).status, 201, 'it goes on without a restart');
      const stopped = await bus.kill('SIGTERM');
      assert.equal(stopped.code, 0, stopped.output);
      t.diagnostic(auditFile(join(disk.folder, 'home/control-plane/event-bus/events.db'), promises));
    });
});

async function untilRefused(publish: () => Promise<Reply>): Promise<Reply> {
  for (let i = 0; i < maxPublishes; i++) {
    const reply = await publish();
    if (reply.status !== 201) return reply;
  }
  throw new Error(`${maxPublishes} publishes did not fill the disk.`);
}

async function untilStored(publish: () => Promise<Reply>): Promise<void> {
  const end = performance.now() + recoveryLimitMs;
  for (;;) {
    const { status, body } = await publish();
    if (status === 201) return;
    assert.ok(performance.now() < end, `there is room again, and still ${status} ${JSON.stringify(body)}`);
    await pause(100);
  }
}
