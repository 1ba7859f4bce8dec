import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { layBackup } from '../../recovery/catalog/catalog.fixtures.ts';
import { parseConfig } from '../../recovery/config/read-config.ts';
import { makePrecedence } from './precedence.ts';
import { byTheSchedule } from './schedule.ts';

const minuteMs = 60_000;
const never = new AbortController().signal;
const yaml = `restore_targets: { data-plane: { dev: { root: /srv/dev } } }\nschedule: { event_bus: off, verify: off, drill: off, prune: off }\n`;

it('The schedule says what is missing also while others go first all the time', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'schedule-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const config = () => parseConfig(join(home, 'gaia/config.yaml'), yaml, home);
  const { place } = config();
  mkdirSync(place.state, { recursive: true });
  let nowMs = Date.parse('2026-06-05T10:20:00Z');
  layBackup(place, 'dev', { atMs: nowMs - 48 * 60 * minuteMs, bucket: 'hourly' });
  const precedence = makePrecedence();
  void precedence.first(() => new Promise(() => undefined));
  const said: string[] = [];
  const { round } = byTheSchedule({
    ...{ config, precedence, copies: join(home, 'copies'), busDatabase: join(home, 'events.db') },
    ...{ now: () => nowMs, offsetAt: () => 0, beginsAtMs: nowMs, deliver: async () => undefined },
    gaia: async () => assert.fail('nothing is begun'),
    copyBus: async () => assert.fail('nothing is copied'),
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  const say = async ({ action }: { action: string }) => said.push(action) > 0;
  for (const passes of [0, 59, 1]) {
    nowMs += passes * minuteMs;
    assert.equal(await round(say, never), 10_000);
    assert.deepEqual(said, [], 'it may still come in time');
  }
  nowMs += minuteMs;
  for (const _ of [1, 2]) await round(say, never);
  assert.deepEqual(said, ['backup_missing']);
});
