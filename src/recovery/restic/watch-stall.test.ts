import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { watchStall } from './watch-stall.ts';

const limits = { everyMs: 50, stallMs: 300 };

/** Whether a process was taken for one that stands still, in the time of four limits. */
async function isEnded(t: TestContext, [program, ...args]: string[], counts = false): Promise<boolean> {
  const child: ChildProcess = spawn(program as string, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  let given = 0;
  child.stdout?.on('data', (piece: Buffer) => {
    given += piece.length;
  });
  let ended = false;
  const stop = watchStall({
    ...limits,
    pid: child.pid as number,
    givenBytes: () => (counts ? given : 0),
    end() {
      ended = true;
    },
  });
  await pause(limits.stallMs * 4);
  stop();
  return ended;
}

describe('a process that is watched', { concurrency: true }, () => {
  it('is ended when it only waits', async (t) => assert.equal(await isEnded(t, ['cat']), true));
  it('is left alone while it computes', async (t) =>
    assert.equal(await isEnded(t, ['sh', '-c', 'while :; do :; done']), false));
  it('is left alone while it reads and writes', async (t) =>
    assert.equal(await isEnded(t, ['cat', '/dev/zero']), false));
  it('is ended when all that it writes is what it tells us', async (t) => {
    const tells = [process.execPath, '-e', 'setInterval(() => process.stdout.write("1".repeat(1000)), 20)'];
    assert.equal(await isEnded(t, tells), false, 'it does tell us enough');
    assert.equal(await isEnded(t, tells, true), true);
  });
});
