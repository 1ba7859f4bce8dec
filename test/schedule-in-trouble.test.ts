import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makePrecedence } from '../src/agents/chronos/precedence.ts';
import { byTheSchedule } from '../src/agents/chronos/schedule.ts';
import { layBackup } from '../src/recovery/catalog/catalog.fixtures.ts';
import { parseConfig } from '../src/recovery/config/read-config.ts';

const minuteMs = 60_000;
const never = new AbortController().signal;
const yaml = `restore_targets: { data-plane: { dev: { root: /srv/dev } } }\nschedule: { event_bus: off, verify: off, drill: off, prune: off }\n`;

/** A schedule of daily backups, the last of which was made two days ago, at a time that passes only when told. */
function scene(t: TestContext, asked: string[]) {
  const home = mkdtempSync(join(tmpdir(), 'schedule-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const config = () => parseConfig(join(home, 'gaia/config.yaml'), yaml, home);
  const { place } = config();
  mkdirSync(place.state, { recursive: true });
  let nowMs = Date.parse('2026-06-05T10:20:00Z');
  layBackup(place, 'dev', { atMs: nowMs - 48 * 60 * minuteMs, bucket: 'hourly' });
  const precedence = makePrecedence();
  const said: string[] = [];
  const { round } = byTheSchedule({
    ...{ config, precedence, copies: join(home, 'copies'), busDatabase: join(home, 'events.db') },
    ...{ now: () => nowMs, offsetAt: () => 0, beginsAtMs: nowMs + minuteMs, deliver: async () => undefined },
    async gaia(words) {
      asked.push(words.slice(0, 2).join(' '));
      return { exit: 1, stdout: '', stderr: '' };
    },
    copyBus: async () => assert.fail('nothing is copied'),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const say = async ({ action }: { action: string }) => said.push(action) > 0;
  return {
    ...{ precedence, said },
    round: () => round(say, never),
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

describe('The schedule', () => {
  it('says what is missing also while others go first all the time', async (t) => {
    const asked: string[] = [];
    const { round, pass, precedence, said } = scene(t, asked);
    void precedence.first(() => new Promise(() => undefined));
    for (const minutes of [1, 59, 1]) {
      pass(minutes * minuteMs);
      assert.equal(await round(), 10_000);
      assert.deepEqual(said, [], 'it may still come in time');
    }
    pass(minuteMs);
    for (const _ of [1, 2]) await round();
    assert.deepEqual([said, asked], [['backup_missing'], []]);
  });

  it('begins though the clock was put back by a month since its start', async (t) => {
    const asked: string[] = [];
    const { round, pass } = scene(t, asked);
    assert.equal(await round(), minuteMs);
    assert.deepEqual(asked, []);
    pass(-30 * 24 * 60 * minuteMs);
    await round();
    assert.deepEqual(asked, ['backup dev']);
  });
});
