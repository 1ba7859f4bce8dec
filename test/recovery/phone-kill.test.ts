import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive } from '../../src/recovery/run/live-process.ts';
import { holderOf } from '../../src/recovery/run/lock.ts';
import { gaiaLauncher, leftBehind } from './gaia.fixtures.ts';
import { stateOf } from './kill.fixtures.ts';
import { phoneStand } from './phone.fixtures.ts';

type Stand = Awaited<ReturnType<typeof phoneStand>>;

const limitMs = 60_000;

/** The runner as a process; ended with the test. */
function start(t: TestContext, { config, home }: Stand, stopAt?: string): ChildProcess {
  const env = {
    PATH: process.env.PATH,
    LEVEREDGE_HOME: home,
    ...(stopAt === undefined ? {} : { GAIA_STOP_AT: stopAt }),
  };
  const child = spawn(process.execPath, [gaiaLauncher, 'runner', '--config', config], { env, stdio: 'ignore' });
  t.after(() => void child.kill('SIGKILL'));
  return child;
}

async function until(what: string, is: () => boolean): Promise<void> {
  const began = performance.now();
  while (!is()) {
    assert.ok(performance.now() - began < limitMs, `not within ${limitMs} ms: ${what}`);
    await pause(50);
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.kill('SIGKILL');
  await closed;
}

/** Asks and confirms as a person does, who sends the next code when the first was used up; until it is over. */
async function untilOver(stand: Stand, isStopped = () => false): Promise<void> {
  let confirmed = '';
  let again = false;
  await until(`over: ${text(stand)}`, () => {
    const asked = stand.asked();
    if (asked !== undefined && asked !== confirmed) {
      confirmed = asked;
      stand.ask({ verb: 'confirm', operation: asked, code: stand.code() });
    }
    if (!again && /used already/.test(text(stand))) {
      again = true;
      stand.ask({ verb: 'confirm', operation: asked, code: stand.code(1) });
    }
    return isStopped() || /restore dev: (done|FAILED)\ndev: /.test(text(stand));
  });
}

/** The process of the restore, as its lock has it. */
const holder = (stand: Stand) => holderOf({ state: join(stand.backups, '.gaia') });

/** Until that process stands still where it was told to. */
const untilStopped = (stand: Stand) => untilOver(stand, () => stateOf(holder(stand)?.pid ?? 0) === 'T');

const text = (stand: Stand) => {
  try {
    return stand.text();
  } catch {
    return ''; // The runner has not made the folder yet.
  }
};

async function endsOnce(t: TestContext, stand: Stand): Promise<void> {
  assert.match(text(stand), /restore dev: done\ndev: /);
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  writeFileSync(join(stand.root, 'notes'), 'written after it\n');
  const last = start(t, stand);
  // It has looked at everything once it has answered.
  stand.ask({ verb: 'status' });
  await until('an answer', () => readdirSync(stand.requests).length === 0);
  await pause(500);
  assert.equal(last.exitCode, null);
  await kill(last);
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'written after it\n');
  const aside = readdirSync(dirname(stand.root)).filter((name) =>
    name.startsWith(`${basename(stand.root)}.pre-restore.`),
  );
  assert.equal(aside.length, 1);
  const { runs, holder } = JSON.parse((await stand.gaia('status', '--json')).stdout) as {
    runs: unknown[];
    holder: unknown;
  };
  assert.deepEqual([runs.length, holder], [1, null]);
  assert.deepEqual(leftBehind(stand.home), []);
}

async function opened(t: TestContext, stopAt: string) {
  const stand = await phoneStand(t);
  const first = start(t, stand, stopAt);
  await until('the spool', () => readdirSync(join(stand.home, 'shared')).includes('emergency'));
  await until('the folder', () => readdirSync(stand.emergency.spool).includes('replies'));
  stand.ask({ verb: 'restore', target: 'dev' });
  return { stand, first };
}

const points = [
  'phone asked',
  'phone found',
  'phone resolved',
  'phone answered',
  'phone judges',
  'phone judged',
  'phone confirmed',
  'phone begins',
  'phone works',
  'phone worked',
  'phone ended',
];

describe('a restore by phone', { timeout: 900_000 }, () => {
  for (const point of points)
    it(`whose runner is killed at “${point}” is done once`, async (t) => {
      const { stand, first } = await opened(t, point);
      const isStopped = () => stateOf(first.pid as number) === 'T';
      await untilOver(stand, isStopped);
      assert.ok(isStopped(), `it never came to ${point}: ${text(stand)}`);
      await kill(first);
      const second = start(t, stand);
      await untilOver(stand);
      await kill(second);
      await endsOnce(t, stand);
    });

  for (const point of ['after lock done', 'after stage begin', 'after swap begin', 'after commit begin'])
    it(`whose runner is killed, and the restore itself at “${point}”, is finished once`, async (t) => {
      const { stand, first } = await opened(t, point);
      await untilStopped(stand);
      await kill(first);
      const run = holder(stand);
      assert.ok(run !== undefined && isAlive(run));
      process.kill(run.pid, 'SIGKILL');
      const second = start(t, stand);
      await untilOver(stand);
      await kill(second);
      await endsOnce(t, stand);
    });

  it('goes on while its runner is dead, and is told when there is one again', async (t) => {
    const { stand, first } = await opened(t, 'after stage begin');
    await untilStopped(stand);
    await kill(first);
    const run = holder(stand);
    process.kill(run?.pid as number, 'SIGCONT');
    await until('the end of the run', () => holder(stand) === undefined);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    assert.doesNotMatch(text(stand), /restore dev: done/);
    const second = start(t, stand);
    await untilOver(stand);
    await kill(second);
    await endsOnce(t, stand);
  });

  it('goes on while its runner is killed, and the next one watches it to its end', async (t) => {
    const { stand, first } = await opened(t, 'after stage begin');
    await untilStopped(stand);
    await kill(first);
    const second = start(t, stand);
    stand.ask({ verb: 'status' });
    await until('an answer', () => readdirSync(stand.requests).length === 0);
    await pause(500);
    assert.doesNotMatch(text(stand), /restore dev: (done|FAILED)/);
    process.kill(holder(stand)?.pid as number, 'SIGCONT');
    await untilOver(stand);
    await kill(second);
    await endsOnce(t, stand);
  });

  it('that is killed itself, and its runner is not, is finished once', async (t) => {
    const { stand, first } = await opened(t, 'after swap begin');
    await untilStopped(stand);
    process.kill(holder(stand)?.pid as number, 'SIGKILL');
    await untilOver(stand);
    await kill(first);
    await endsOnce(t, stand);
  });

  it('has one runner', async (t) => {
    const { stand } = await opened(t, 'never');
    await until('an answer', () => stand.asked() !== undefined);
    const { exit, stderr } = await stand.gaia('runner');
    assert.equal(exit, 6);
    assert.match(stderr, /Another runner works for these backups already/);
  });
});
