import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { rfc3339 } from '../../base/clock.ts';
import type { Fault } from '../../base/fault.ts';
import { filesBeside } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';
import { type Laid, layBackup } from './catalog.fixtures.ts';
import { asKept, findBackup, listBackups, pinOf } from './catalog.ts';
import { clockDoubt, readClock, writeClock } from './clock-guard.ts';
import { emptyTrash, fileIntoBuckets, finishPrune, planPrune, prune, prunedFor, trashed } from './prune.ts';
import { record } from './records.ts';
import { usualRetention } from './retention.ts';

const hourMs = 3_600_000;
const now = Date.parse('2026-01-16T10:30:00Z');
let place: Place;

beforeEach(() => {
  const home = mkdtempSync(join(tmpdir(), 'catalog-'));
  const backups = join(home, 'backups');
  place = { home, backups, state: join(backups, '.gaia'), configFile: '', signingKey: '', publicKey: '' };
});

afterEach(() => rmSync(place.home, { recursive: true, force: true }));

const make = (target: string, laid: Partial<Laid> = {}) => layBackup(place, target, { atMs: now, ...laid });

function makeOld(target: string, name: string, bucket = ''): string {
  const file = join(place.backups, target, bucket, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, 'old');
  return file;
}

const kinds = (target = 'dev') => listBackups(place, [target]).map(({ kind }) => kind);
const verdict = (file: string, as: 'sound' | 'damaged', mtimeMs: number) =>
  record(place, file, { bytes: 3, mtimeMs, at: rfc3339(now), verdict: as, reason: 'a frame is wrong' });

describe('The catalog', () => {
  it('lists nothing where there is no folder', () => assert.deepEqual(listBackups(place, ['dev']), []));

  it('lists own and old backups from the folder and the buckets, newest first', () => {
    make('dev', { atMs: now - hourMs });
    makeOld('dev', 'dev_20260116_120000.tar.gz', 'daily');
    makeOld('dev', 'notes.txt');
    assert.deepEqual(
      listBackups(place, ['dev']).map(({ name, kind, bucket }) => [name, kind, bucket]),
      [
        ['dev_20260116_120000.tar.gz', 'unverified', 'daily'],
        ['dev-2026-01-16-093000.tar.zst', 'sound', null],
      ],
    );
  });

  it('takes the time of an old backup whose name says none from the file', () => {
    utimesSync(makeOld('dev', 'before-upgrade.tar.gz'), 1000, 1000);
    assert.equal(listBackups(place, ['dev'])[0]?.atMs, 1_000_000);
  });

  it('says what is wrong with a backup', () => {
    make('dev', { atMs: now, degraded: ['a changed'] });
    make('dev', { atMs: now - hourMs, bytes: 4 });
    rmSync(filesBeside(make('dev', { atMs: now - 2 * hourMs })).signature);
    const bare = filesBeside(make('dev', { atMs: now - 3 * hourMs }));
    rmSync(bare.manifest);
    writeFileSync(filesBeside(make('dev', { atMs: now - 4 * hourMs })).manifest, '{');
    assert.deepEqual(kinds(), ['degraded', 'damaged', 'damaged', 'incomplete', 'damaged']);
  });

  it('does not take the manifest of another target', () => {
    const file = make('prod');
    mkdirSync(join(place.backups, 'dev'));
    for (const each of [file, ...Object.values(filesBeside(file))])
      linkSync(each, each.replace(`${place.backups}/prod`, `${place.backups}/dev`));
    assert.deepEqual(kinds(), ['damaged']);
  });

  it('shows a backup in several buckets once, in the one kept longest', () => {
    fileIntoBuckets(place, 'dev', make('dev', { bucket: 'hourly' }), ['daily', 'monthly']);
    const [only, second] = listBackups(place, ['dev']);
    assert.deepEqual([only?.bucket, only?.files.length, second], ['monthly', 3, undefined]);
  });

  it('keeps a verdict and a pin when another name of the file comes to be shown', () => {
    const file = make('dev', { bucket: 'hourly' });
    utimesSync(file, 5, 5);
    verdict('dev/hourly/dev-2026-01-16-103000.tar.zst', 'damaged', 5000);
    writeFileSync(pinOf(file), '');
    fileIntoBuckets(place, 'dev', file, ['weekly']);
    const [only] = listBackups(place, ['dev']);
    assert.deepEqual([only?.bucket, only?.kind, only?.pinned], ['weekly', 'damaged', true]);
  });

  it('forgets a verdict once the file has changed', () => {
    utimesSync(make('dev'), 5, 5);
    verdict('dev/dev-2026-01-16-103000.tar.zst', 'damaged', 6000);
    assert.deepEqual(kinds(), ['sound']);
  });

  it('is whole again without catalog.json, and with one that is nonsense', () => {
    make('dev');
    for (const nonsense of ['', '[', 'null', '{"backups":3}', '{"backups":{"dev/x":null}}']) {
      mkdirSync(place.state, { recursive: true });
      writeFileSync(join(place.state, 'catalog.json'), nonsense);
      assert.deepEqual(kinds(), ['sound'], nonsense);
    }
  });

  it('lists 500 backups within 0.15 s of process time', () => {
    for (let n = 0; n < 500; n++) make('dev', { atMs: now - n * hourMs });
    const before = process.cpuUsage();
    assert.equal(listBackups(place, ['dev']).length, 500);
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 150_000, `${(user + system) / 1000} ms`);
  });
});

describe('Finding a backup', () => {
  const code = (wanted: string) => {
    try {
      return findBackup(place, ['dev'], wanted).name;
    } catch (error) {
      return (error as Fault).code;
    }
  };

  it('takes a path, a name, the beginning of one, or latest', () => {
    const file = make('dev');
    make('dev', { atMs: now - 24 * hourMs });
    const name = 'dev-2026-01-16-103000.tar.zst';
    for (const wanted of [file, name, 'dev-2026-01-16-103000', 'dev-2026-01-16', 'latest'])
      assert.equal(code(wanted), name, wanted);
  });

  it('says that a beginning fits several, and that nothing fits', () => {
    make('dev');
    make('dev', { atMs: now - hourMs });
    assert.deepEqual(['dev-2026', 'prod', '/nowhere/a.tar.zst'].map(code), ['conflict', 'not-found', 'not-found']);
  });

  it('names the nearest where a name has a slip', () => {
    make('dev');
    assert.throws(
      () => findBackup(place, ['dev'], 'dev-2026-01-16-103001.tar.zst'),
      (error: Fault) => /dev-2026-01-16-103000/.test(error.hint ?? ''),
    );
  });

  it('takes as the latest the newest sound one, passing over worse ones that are newer', () => {
    make('dev', { atMs: now - hourMs });
    make('dev', { degraded: ['a changed'] });
    makeOld('dev', 'dev-20270101.tar.gz');
    assert.equal(code('latest'), 'dev-2026-01-16-093000.tar.zst');
  });

  it('takes an old one as the latest only where there are none of our own', () => {
    makeOld('dev', 'dev-20250101.tar.gz');
    makeOld('dev', 'dev-20250102.tar.gz');
    assert.equal(code('latest'), 'dev-20250102.tar.gz');
    make('dev', { degraded: ['a changed'] });
    assert.equal(code('latest'), 'not-found');
  });
});

describe('Pruning', () => {
  const many = () => {
    for (let n = 0; n < 60; n++) make('dev', { atMs: now - n * 60_000 });
  };
  const plan = () => planPrune(place, [{ name: 'dev' }], usualRetention);
  const none = { keepLast: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 };

  it('moves an archive and all that belongs to it into the trash, and has nothing to do then', () => {
    many();
    const gone = prune(place, plan(), now);
    assert.ok(gone.length > 50);
    assert.equal(listBackups(place, ['dev']).length, 60 - gone.length);
    assert.deepEqual(prune(place, plan(), now + 1000), []);
  });

  it('remembers the hash of each manifest that goes, which the next one names', () => {
    const { manifest } = filesBeside(make('dev', { atMs: now - hourMs }));
    const sha256 = createHash('sha256').update(readFileSync(manifest)).digest('hex');
    make('dev');
    prune(place, planPrune(place, [{ name: 'dev' }], none), now);
    const lines = readFileSync(join(place.state, 'pruned.ndjson'), 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).manifest_sha256),
      [sha256],
    );
  });

  it('is known again by what it was done for, and what a crash has left of it goes when it is finished', () => {
    const left = make('dev', { atMs: now - hourMs });
    make('dev', { atMs: now - 2 * hourMs });
    make('dev');
    const { manifest, signature } = filesBeside(left);
    const kept = [left, manifest, signature].map((file) => ({ file, bytes: readFileSync(file) }));
    const gone = prune(place, planPrune(place, [{ name: 'dev' }], none), now, 'c1').map(({ name }) => name);
    for (const { file, bytes } of kept) writeFileSync(file, bytes);
    assert.equal(listBackups(place, ['dev']).length, 2);
    assert.deepEqual([prunedFor(place, 'c1'), prunedFor(place, 'c2')], [gone, []]);
    finishPrune(place, ['dev'], gone, now + 1000);
    assert.equal(listBackups(place, ['dev']).length, 1);
  });

  it('removes every name of a file, or none', () => {
    const file = make('dev', { atMs: now - hourMs, bucket: 'hourly' });
    fileIntoBuckets(place, 'dev', file, ['daily']);
    make('dev');
    assert.equal(prune(place, planPrune(place, [{ name: 'dev' }], none), now)[0]?.files.length, 2);
    assert.equal(listBackups(place, ['dev']).length, 1);
  });

  it('removes no pinned one, no damaged one, and none of an older tool', () => {
    writeFileSync(pinOf(make('dev', { atMs: now - hourMs })), '');
    make('dev', { atMs: now - 2 * hourMs, bytes: 9 });
    makeOld('dev', 'dev-20200101.tar.gz');
    make('dev');
    assert.deepEqual(prune(place, planPrune(place, [{ name: 'dev' }], none), now), []);
  });

  it('does not count a backup that was found damaged as one that is kept', () => {
    const file = make('dev');
    utimesSync(file, 5, 5);
    verdict('dev/dev-2026-01-16-103000.tar.zst', 'damaged', 5000);
    make('dev', { atMs: now - hourMs });
    assert.deepEqual(prune(place, planPrune(place, [{ name: 'dev' }], none), now), []);
  });

  it('empties the trash after 48 hours, and not before', () => {
    many();
    prune(place, plan(), now);
    assert.deepEqual(emptyTrash(place, now + 47 * hourMs), []);
    assert.equal(emptyTrash(place, now + 49 * hourMs).length, 1);
    assert.deepEqual(trashed(place, now), []);
  });

  it('tells retention of a drill', () => {
    utimesSync(make('dev'), 5, 5);
    const at = rfc3339(now);
    record(place, 'dev/dev-2026-01-16-103000.tar.zst', {
      bytes: 3,
      mtimeMs: 5000,
      at,
      verdict: 'sound',
      drilled_at: at,
    });
    assert.deepEqual(
      listBackups(place, ['dev']).map((backup) => asKept(backup).drilledMs),
      [now],
    );
  });
});

describe('The clock guard', () => {
  const year = 365 * 24 * hourMs;
  const day = 24 * hourMs;
  const before = { wall_ms: now, boot_id: 'a', uptime_s: 1000 };
  const doubt = (wallMs: number, bootId: string, uptimeS: number, newest?: number) =>
    clockDoubt({ wallMs, bootId, uptimeS }, before, newest) !== undefined;

  it('has no doubt while the clock goes as the machine does', () => {
    assert.equal(doubt(now + day, 'a', 1000 + 86_400), false);
    assert.equal(doubt(now + 6 * day, 'b', 10), false);
    assert.equal(clockDoubt({ wallMs: now, bootId: 'a', uptimeS: 1 }, undefined, undefined), undefined);
  });

  it('doubts a clock set back or forward a year, within one boot and across boots', () => {
    for (const by of [-year, year]) {
      assert.equal(doubt(now + by, 'a', 1001), true, `within one boot, ${by}`);
      assert.equal(doubt(now + by, 'b', 10), true, `across boots, ${by}`);
    }
  });

  it('doubts a clock before the newest backup, even with no record', () => {
    assert.ok(clockDoubt({ wallMs: now, bootId: 'a', uptimeS: 1 }, undefined, now + year));
  });

  it('remembers the clock, and begins anew where the record is damaged', () => {
    assert.equal(readClock(place), undefined);
    writeClock(place, { wallMs: now, bootId: 'a', uptimeS: 1000 });
    assert.deepEqual(readClock(place), before);
    writeFileSync(join(place.state, 'clock.json'), 'null');
    assert.equal(readClock(place), undefined);
  });
});
