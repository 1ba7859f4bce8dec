import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { layBackup } from '../../recovery/catalog/catalog.fixtures.ts';
import { parseConfig } from '../../recovery/config/read-config.ts';
import type { SaidByItself } from '../agent.ts';
import type { GaiaEnd } from '../gaia-end.ts';
import { makePrecedence } from './precedence.ts';
import { byTheSchedule } from './schedule.ts';
import { shownSchedule } from './show-schedule.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const start = Date.parse('2026-06-03T10:20:00Z');
const never = new AbortController().signal;
const usual = `restore_targets: { data-plane: { dev: { root: /srv/dev } } }\nschedule: { event_bus: off, verify: off, drill: off, prune: off }\n`;

/** What GAIA answers instead of doing as asked. */
type Answer = { exit: number | null; code?: string; says?: string; result?: object } | 'stopped';

/**
 * A home with a schedule, a GAIA that makes backups of three bytes, and time that passes only when told. `restart` forgets what
 * was in memory.
 */
function scene(t: TestContext, yaml = usual) {
  const home = mkdtempSync(join(tmpdir(), 'schedule-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  let text = yaml;
  const config = () => parseConfig(join(home, 'gaia/config.yaml'), text, home);
  const { place } = config();
  mkdirSync(place.state, { recursive: true });
  const asked: string[] = [];
  const said: SaidByItself[] = [];
  const warned: string[] = [];
  const answers: Answer[] = [];
  const copies = join(home, 'copies');
  const busDatabase = join(home, 'events.db');
  let nowMs = start;
  let bus: 'there' | 'away' = 'there';
  let delivered = 0;
  const precedence = makePrecedence();

  function answered(answer: Exclude<Answer, 'stopped'>): GaiaEnd {
    const { exit, code = 'internal', says = 'No room.', result } = answer;
    if (result !== undefined) return { exit, stdout: JSON.stringify(result), stderr: '' };
    return { exit, stdout: '', stderr: JSON.stringify({ error: { code, message: says } }) };
  }

  async function gaia(words: readonly string[], signal: AbortSignal): Promise<GaiaEnd> {
    signal.throwIfAborted();
    asked.push(words.filter((word) => !['--json', '--quiet'].includes(word)).join(' '));
    const answer = answers.shift();
    if (answer === 'stopped')
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    if (answer !== undefined) return answered(answer);
    if (words[0] !== 'backup') return answered({ exit: 0, result: {} });
    return answered({ exit: 0, result: { results: [make(words)] } });
  }

  /** Lays the backup that was asked for, once for its cause. */
  function make(words: readonly string[], degraded: string[] = []) {
    const cause = words[words.indexOf('--cause') + 1] as string;
    const contents = words.includes('--only') ? { contents: 'databases' as const } : {};
    const target = words[1] as string;
    const file = layBackup(place, target, {
      atMs: nowMs,
      bucket: 'hourly',
      degraded,
      more: { cause, reason: 'scheduled', ...contents },
    });
    return { name: file.split('/').at(-1), state: 'sound', bytes: 3, content_bytes: 0, files: 0, degraded, seconds: 1 };
  }

  const begin = () =>
    byTheSchedule({
      ...{ gaia, config, copies, busDatabase, precedence, beginsAtMs: start },
      now: () => nowMs,
      offsetAt: () => 0,
      async copyBus() {
        asked.push('copy');
        const file = join(copies, `events-${new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')}-scheduled.db`);
        mkdirSync(copies, { recursive: true });
        const answer = answers.shift();
        if (answer !== undefined && answer !== 'stopped') return answered(answer);
        writeFileSync(file, '');
        return { exit: 0, stdout: `${JSON.stringify({ file, bytes: 9, events: 2 }, null, 2)}\n`, stderr: '' };
      },
      deliver: async () => void delivered++,
      log: { info: () => undefined, warn: (line) => void warned.push(line), error: () => undefined },
    });
  let schedule = begin();
  const say = async (each: SaidByItself) => {
    if (bus === 'there') said.push(each);
    return bus === 'there';
  };
  return {
    ...{ asked, said, warned, answers, place, precedence, copies, make },
    round: (signal = never) => schedule.round(say, signal),
    plan: () => schedule.plan(),
    restart() {
      schedule = begin();
    },
    pass(ms: number) {
      nowMs += ms;
    },
    busIs(state: typeof bus) {
      bus = state;
    },
    configure(yaml: string) {
      text = yaml;
    },
    haveBus: () => writeFileSync(busDatabase, ''),
    delivered: () => delivered,
    told: () => said.map(({ action, of }) => `${action} ${of.replaceAll(':00.000Z', '')}`),
    /** Rounds until nothing is left to do. */
    async all(): Promise<number> {
      for (let n = 0; n < 50; n++) {
        const pauseMs = await schedule.round(say, never);
        if (pauseMs > 10_000) return pauseMs;
      }
      assert.fail('it does not end');
    },
  };
}

const first = 'schedule:dev:whole:2026-06-03T03:00';
const made = 'dev-2026-06-03-102000.tar.zst';

describe('CHRONOS by its schedule', () => {
  it('makes what is due, says so once, and looks again in time', async (t) => {
    const { asked, said, told, all, round, restart, delivered } = scene(t);
    assert.equal(await round(), 5000);
    assert.deepEqual(asked, [`backup dev --reason scheduled --cause ${first}:00.000Z`]);
    assert.deepEqual(told(), [`backup_completed ${made}`]);
    const { details, target } = said[0] as SaidByItself;
    assert.deepEqual(
      [target, details.why_made, details.contents, details.state],
      ['dev', 'scheduled', 'whole', 'sound'],
    );
    assert.equal(await round(), minuteMs);
    restart();
    assert.equal(await all(), minuteMs);
    assert.deepEqual([asked.length, said.length], [1, 1]);
    assert.ok(delivered() >= 3);
  });

  it('wakes when the next is due', async (t) => {
    const { round, pass, asked } = scene(t);
    await round();
    pass(Date.parse('2026-06-04T02:59:50Z') - start);
    assert.equal(await round(), 10_000);
    pass(10_000);
    assert.equal(await round(), 5000);
    assert.equal(asked.length, 2);
  });

  it('says what was made for it before it was killed, and makes nothing again', async (t) => {
    const { make, told, all, asked, restart, pass } = scene(t);
    make(['backup', 'dev', '--cause', `${first}:00.000Z`]);
    await all();
    assert.deepEqual([asked, told()], [[], [`backup_completed ${made}`]]);
    restart();
    pass(minuteMs);
    await all();
    assert.equal(told().length, 1);
  });

  it('says nothing of an older one when the newest is found damaged, and makes another', async (t) => {
    const { all, told, pass, place, asked } = scene(t);
    await all();
    pass(24 * hourMs);
    await all();
    const name = 'dev/hourly/dev-2026-06-04-102000.tar.zst';
    rmSync(join(place.backups, name.replace('.tar.zst', '.manifest.json.sig')));
    pass(minuteMs);
    await all();
    assert.equal(asked.length, 3);
    assert.deepEqual(told().length, 3);
    assert.equal(new Set(told()).size, 3, told().join('\n'));
  });

  it('backs up while the bus is away, and says it afterwards', async (t) => {
    const { all, told, busIs, pass, asked } = scene(t, usual.replace('dev: {', 'dev: { schedule: { whole: hourly },'));
    busIs('away');
    await all();
    pass(hourMs);
    await all();
    assert.deepEqual([asked.length, told().length], [2, 0]);
    busIs('there');
    await all();
    assert.deepEqual(told(), [`backup_completed ${made}`, 'backup_completed dev-2026-06-03-112000.tar.zst']);
  });

  it('tries again after a failure, later each time, and says it once for a reason', async (t) => {
    const { all, answers, told, pass, asked, said, restart, plan } = scene(t);
    answers.push({ exit: 1, code: 'storage-full' });
    await all();
    assert.deepEqual(told(), [`backup_failed ${first}:storage-full`]);
    assert.deepEqual([said[0]?.details.says, said[0]?.details.again_at], ['No room.', '2026-06-03T10:22:00.000Z']);
    pass(minuteMs);
    restart();
    await all();
    assert.equal(asked.length, 1, 'two minutes have not gone by');
    answers.push({ exit: 1, code: 'storage-full' }, { exit: 5, code: 'not-found' });
    pass(minuteMs);
    await all();
    assert.deepEqual([asked.length, told().length], [2, 1]);
    pass(4 * minuteMs);
    await all();
    assert.deepEqual([asked.length, told().slice(1)], [3, [`backup_failed ${first}:not-found`]]);
    assert.equal(plan().planned[0]?.note.failing?.count, 3);
    pass(8 * minuteMs);
    await all();
    assert.deepEqual(told().slice(2), ['backup_completed dev-2026-06-03-103400.tar.zst']);
    assert.equal(plan().planned[0]?.note.failing, undefined);
  });

  it('waits for others without calling that a failure, and for what somebody waits for', async (t) => {
    const { round, answers, told, asked, precedence, plan } = scene(t);
    answers.push({ exit: 6, code: 'locked' });
    assert.equal(await round(), 10_000);
    assert.deepEqual([told(), plan().planned[0]?.note.failing], [[], undefined]);
    const going = Promise.withResolvers<void>();
    const working = precedence.first(() => going.promise);
    assert.equal(await round(), 10_000);
    assert.equal(asked.length, 1);
    going.resolve();
    await working;
    assert.equal(await round(), 5000);
    assert.equal(asked.length, 2);
  });

  it('gives a drill up when somebody waits, and nothing else', async (t) => {
    const { round, answers, asked, precedence, pass, make, told } = scene(t, usual.replace('drill: off, ', ''));
    make(['backup', 'dev', '--cause', `${first}:00.000Z`]);
    pass(5 * 24 * hourMs);
    await round();
    answers.push('stopped');
    const drilling = round();
    await new Promise((resolve) => setImmediate(resolve));
    await precedence.first(async () => undefined);
    assert.equal(await drilling, 10_000);
    answers.push({ exit: 9, result: { result: 'proven' } });
    assert.equal(await round(), 5000);
    assert.deepEqual(asked.slice(1), ['drill dev', 'drill dev']);
    assert.doesNotMatch(told().join(), /drill/, 'GAIA tells of it');
  });

  it('says of a drill what GAIA could not, and leaves one that did not come back for the next time', async (t) => {
    const { all, answers, asked, pass, make, told } = scene(
      t,
      usual.replace('drill: off, ', '').replace('schedule: {', 'schedule: { whole: off,'),
    );
    make(['backup', 'dev', '--cause', 'somebody’s']);
    pass(5 * 24 * hourMs);
    answers.push({ exit: 4, code: 'unreachable', says: 'There is no Docker.' });
    await all();
    assert.deepEqual(told(), ['drill_failed schedule:dev:drill:2026-06-07T05:00:unreachable']);
    pass(2 * minuteMs);
    answers.push({ exit: 1, result: { result: 'failed', says: 'It was not well.' } });
    await all();
    pass(24 * hourMs);
    await all();
    assert.deepEqual([asked.length, told().length], [2, 1]);
  });

  it('says what is missing, once, and again after there was one', async (t) => {
    const { all, answers, pass, said, told, restart } = scene(t);
    await all();
    pass(2 * 24 * hourMs);
    answers.push(...Array.from({ length: 3 }, () => ({ exit: 1, code: 'storage-full' })));
    await all();
    const missing = () => said.filter(({ action }) => action === 'backup_missing');
    await all();
    assert.equal(missing().length, 1, told().join('\n'));
    const { details, target } = missing()[0] as SaidByItself;
    assert.equal(target, 'dev');
    const says =
      'The newest sound backup of dev is 48 hours old (dev-2026-06-03-102000.tar.zst), and one was due at 2026-06-04T03:00:00.000Z (daily 03:00). It fails: No room.';
    assert.equal(details.says, says);
    assert.deepEqual([details.age_seconds, details.due_at], [48 * 3600, '2026-06-04T03:00:00.000Z']);
    restart();
    pass(2 * minuteMs);
    await all();
    assert.equal(missing().length, 1);
    pass(2 * hourMs);
    await all();
    pass(2 * hourMs);
    await all();
    assert.equal(told().at(-1), 'backup_completed dev-2026-06-05-142200.tar.zst');
    answers.push({ exit: 1 });
    pass(3 * 24 * hourMs);
    await all();
    assert.equal(missing().length, 2);
    assert.notEqual(missing()[0]?.of, missing()[1]?.of);
  });

  it('says that there never was one, when it cannot be made', async (t) => {
    const { all, answers, pass, said } = scene(t);
    answers.push(...Array.from({ length: 30 }, () => ({ exit: 5, code: 'not-found', says: 'There is no folder.' })));
    for (let n = 0; n < 20; n++) {
      await all();
      pass(hourMs / 2);
    }
    const missing = said.filter(({ action }) => action === 'backup_missing');
    assert.equal(missing.length, 1);
    assert.match(
      String(missing[0]?.details.says),
      /^There is no sound backup of dev, and one was due at .* It fails: There is no folder\.$/,
    );
    assert.equal(said.filter(({ action }) => action === 'backup_failed').length, 1);
  });

  it('copies the database of the bus, each hour and once', async (t) => {
    const { all, pass, copies, haveBus, asked, told, said } = scene(
      t,
      'restore_targets: { control-plane: { schedule: off } }\n',
    );
    await all();
    assert.deepEqual(asked, [], 'there is no database here');
    haveBus();
    for (let n = 0; n < 30; n++) {
      await all();
      pass(hourMs);
    }
    assert.equal(asked.length, 30);
    assert.equal(readdirSync(copies).length, 30);
    assert.deepEqual([said[0]?.details?.bytes, said[0]?.details?.events], [9, 2]);
    assert.match(told()[0] ?? '', /^backup_completed events-20260603T102000000Z-scheduled\.db$/);
  });

  it('does nothing where it is off, without a configuration, and with a wrong one, which it says once', async (t) => {
    const { round, asked, configure, warned, plan, told } = scene(t, `${usual.split('\n')[0]}\nschedule: off\n`);
    assert.equal(await round(), minuteMs);
    configure('restore_targets: 7\n');
    assert.deepEqual([await round(), await round()], [minuteMs, minuteMs]);
    assert.deepEqual([asked, warned.length, told().length], [[], 1, 1]);
    assert.match(told()[0] ?? '', /^backup_failed configuration:\w{16}:2026-06-03$/);
    assert.throws(plan, Fault);
    configure(usual);
    assert.equal(await round(), 5000);
  });

  it('shows what is planned for each target, and what fails', async (t) => {
    const { all, answers, plan } = scene(
      t,
      `${usual.split('\n')[0]?.replace('dev: {', 'prod: { schedule: off }, dev: {')}\n`,
    );
    answers.push({ exit: 1 });
    await all();
    const { planned, config, clocks } = plan();
    const { problems, schedule } = shownSchedule(planned, config, { clocks, target: undefined });
    assert.deepEqual([clocks, problems], ['UTC', ['dev whole: No room.']]);
    const rows = (schedule as { target: string; what: string; state: string; next_at: string | null }[]).map(
      ({ target, what, state, next_at }) => [target, what, state, next_at?.slice(0, 16) ?? null],
    );
    assert.deepEqual(rows, [
      ['dev', 'whole', 'FAILING', '2026-06-03T10:22'],
      ['dev', 'verify', 'ok', '2026-06-06T05:00'],
      ['dev', 'drill', 'ok', '2026-06-07T05:00'],
      ['dev', 'prune', 'ok', '2026-06-04T04:00'],
      ['prod', 'all', 'off', null],
    ]);
    assert.deepEqual(shownSchedule(planned, config, { clocks, target: 'prod' }).problems, []);
  });

  it('lets go when it is stopped, and has not failed', async (t) => {
    const { round, answers, plan } = scene(t);
    answers.push('stopped');
    const stop = new AbortController();
    const going = round(stop.signal);
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new Error('stopped'));
    await assert.rejects(going, /stopped/);
    assert.equal(plan().planned[0]?.note.failing, undefined);
  });

  it('backs off also where nothing can be written down', async (t) => {
    const { all, answers, asked, place, pass } = scene(t);
    rmSync(place.state, { recursive: true });
    answers.push({ exit: 1 }, { exit: 1 });
    await all();
    pass(minuteMs);
    await all();
    assert.equal(asked.length, 1);
  });
});
