import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Exit, exitCodeOf } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { nearest } from '../../base/nearest.ts';
import type { Manifest } from '../../recovery/archive/manifest.ts';
import { filesBeside } from '../../recovery/archive/manifest-file.ts';
import { type MadeBackup, makeBackup } from '../../recovery/backup/make-backup.ts';
import { type Backup, listBackups } from '../../recovery/catalog/catalog.ts';
import { clockDoubt, readClock, writeClock } from '../../recovery/catalog/clock-guard.ts';
import { fileScheduled } from '../../recovery/catalog/file-scheduled.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { bootId, uptimeSeconds } from '../../recovery/run/live-process.ts';
import { type Lock, takeLock } from '../../recovery/run/lock.ts';
import type { Target } from '../../recovery/target.ts';
import { showBytes, showCount, showSpan } from '../amounts.ts';
import { causeFlag, causeOf } from '../cause.ts';
import type { Call, Command, Conclusion } from '../command.ts';
import { keyReminders, lostRecipients, requireEncryption } from '../key-reminders.ts';
import { requireNoInterrupted, targetsNamed } from '../targets.ts';
import { failureDetails, tell } from '../tell-bus.ts';
import { sweepDrills } from './drill.ts';

/** Restores make their own. */
const reasons = ['manual', 'pre-change', 'scheduled'] as const satisfies readonly Manifest['reason'][];

const reasonsText = 'manual, pre-change or scheduled';

type Reason = (typeof reasons)[number];
/** `unfiled`: why it is not in the buckets that it belongs into. */
type Made = { made: MadeBackup; ms: number; unfiled?: string | undefined };
type Failed = { target: string; fault: Fault };

/** gaia backup — makes a backup and reads it back. Exit 0 sound, 9 made but something in it changed or could not be read. */
export const backup: Command = {
  name: 'backup',
  summary: 'Back a target up, and read the backup back before it counts',
  usage: 'TARGET|full [--only db] [--reason WHY] [--cause EVENT]',
  words: [1, 1],
  flags: {
    only: { value: 'db', says: 'the databases and no files, as every hour between two whole backups' },
    reason: { value: 'WHY', says: `${reasonsText}; written into the backup` },
    ...causeFlag,
  },
  details: [
    'With engine: restic it goes into the repository; of control-plane there is one archive as well. One that fails leaves nothing that counts as a backup.',
    'Folders are read by GNU tar with owners, ACLs, extended attributes and holes; SQLite databases are copied by SQLite while they are in use, and PostgreSQL ones by pg_dump.',
    'full backs up every target, as one set; one that fails does not keep the others from it. Nothing that runs is stopped.',
    'A scheduled one lies in hourly/, and is also linked into daily/, weekly/ and monthly/ when it is whole and the first there of its day, week or month.',
  ],
  example: 'gaia backup prod',
  exits: [
    '0 made and read back',
    '1 failed, as on a full disk',
    '2 the configuration',
    '5 a folder is missing',
    '6 another run',
    '9 made, but not whole, or not of every target',
  ],
  delivers: true,
  async run(call) {
    const { words } = call;
    const reason = reasonOf(call);
    const only = onlyOf(call);
    const cause = causeOf(call);
    const config = call.config();
    const wanted = words[0] as string;
    const targets = targetsNamed(config, wanted);
    await requireEncryption(config, targets).catch((error: unknown) => {
      tellFailure(call, wanted, error, {});
      throw error;
    });
    const lost = targets.filter((target) => lostRecipients(config, target).length > 0).map(({ name }) => name);
    const lock = begin(call, targets, wanted);
    try {
      await sweepDrills(config.place, call.around.say);
      const set = wanted === 'full' ? randomBytes(8).toString('hex') : null;
      const all: Made[] = [];
      const failed: Failed[] = [];
      for (const target of targets) {
        const began = performance.now();
        try {
          for (const asArchive of formsOf(target, only)) {
            const why = { set, reason, only, asArchive, cause };
            const made = madeBefore(target, why, config) ?? (await one(target, why, config, call));
            const unfiled = reason === 'scheduled' ? fileScheduled(config.place, target.name, made.file) : undefined;
            const done = { made, ms: performance.now() - began, unfiled };
            all.push(done);
            tellMade(call, done);
          }
        } catch (error) {
          tellFailure(call, target.name, error, { set, why_made: reason });
          // The others of a set are backed up all the same.
          if (set === null || !(error instanceof Fault)) throw error;
          failed.push({ target: target.name, fault: error });
        }
      }
      tellClock(config, call);
      const conclusion = conclude(all, failed);
      const fewer = lost.map((name) => `${name} was encrypted to a key that it is not encrypted to any more.`);
      return {
        ...conclusion,
        notes: [...(conclusion.notes ?? []), ...fewer, ...(await keyReminders(config, targets))],
      };
    } finally {
      lock.release();
    }
  },
};

/**
 * Into the repository, and of control-plane one archive as well: a bare machine begins with it, whatever became of the
 * repository. The archive comes first, so that one that fails for the network is not all.
 */
function formsOf({ name, restic }: Target, only: 'db' | undefined): boolean[] {
  if (restic?.active !== true) return [true];
  return name === 'control-plane' && only === undefined ? [true, false] : [false];
}

function onlyOf({ flags }: Call): 'db' | undefined {
  if (flags.only === undefined || flags.only === 'db') return flags.only as 'db' | undefined;
  throw new Fault('usage', `Only db can be backed up by itself, and not ${JSON.stringify(flags.only)}.`, {
    hint: 'What else is to be left out is said by exclude in the configuration.',
  });
}

/** Takes the lock, once nothing is in the way. */
function begin(call: Call, targets: readonly Target[], wanted: string): Lock {
  const { place } = call.config();
  try {
    for (const { name } of targets) requireNoInterrupted(place, name);
    return takeLock(place, `backup ${wanted}`, call.around.clock);
  } catch (error) {
    tellFailure(call, wanted, error, {});
    throw error;
  }
}

/** Whoever names a cause is an agent that tells the bus in its own name what became of it. */
const isToldByOthers = ({ flags }: Call) => flags.cause !== undefined;

function tellFailure(call: Call, target: string, error: unknown, more: Record<string, unknown>): void {
  if (isToldByOthers(call)) return;
  tell(call, { action: 'backup_failed', target, details: { kind: 'backup', ...failureDetails(error), ...more } });
}

/** Its id comes from what was made, so that one backup is one event. */
function tellMade(call: Call, { made: { kind, manifest }, ms }: Made): void {
  if (isToldByOthers(call)) return;
  const { name, target, reason, set, archive, totals, degraded } = manifest;
  const details = {
    ...{ backup: name, state: kind, why_made: reason, set, exit: degraded.length > 0 ? Exit.partial : Exit.ok },
    ...{ bytes: bytesOf(manifest), content_bytes: totals.bytes, files: totals.files, not_whole: degraded.length },
    seconds: secondsOf(ms),
  };
  tell(call, { id: `gaia-backup-${archive.sha256}`, action: 'backup_completed', target, details });
}

/** What it takes: of a repository, what was new in it. */
const bytesOf = ({ archive, snapshot }: Manifest) => snapshot?.added_bytes ?? archive.bytes;

const readBackText = ({ snapshot }: Manifest) =>
  snapshot === undefined ? 'Read back whole' : 'In the repository, and what was new read back';

const secondsOf = (ms: number) => Number((ms / 1000).toFixed(3));

function reasonOf({ flags }: Call): Reason {
  const said = flags.reason ?? 'manual';
  const reason = reasons.find((each) => each === said);
  if (reason !== undefined) return reason;
  const guess = nearest(String(said), reasons);
  throw new Fault('usage', `A backup is not made for the reason ${JSON.stringify(said)}.`, {
    hint: guess ? `Did you mean ${guess}?` : `Say ${reasonsText}.`,
  });
}

type Why = {
  set: string | null;
  reason: Reason;
  only: 'db' | undefined;
  asArchive: boolean;
  cause: string | undefined;
};

/**
 * What was made for the same cause already: whoever asked may have been killed before it heard so, and asks again. The caller
 * holds the lock.
 */
function madeBefore(
  { name }: Target,
  { cause, asArchive, only }: Why,
  { place }: RecoveryConfig,
): MadeBackup | undefined {
  if (cause === undefined) return undefined;
  const isIt = ({ kind, manifest }: Backup) =>
    (kind === 'sound' || kind === 'degraded') &&
    manifest?.cause === cause &&
    (manifest.contents === 'databases') === (only === 'db') &&
    (manifest.snapshot === undefined) === asArchive;
  const found = listBackups(place, [name]).find(isIt);
  if (found?.manifest === undefined) return undefined;
  return { kind: found.kind === 'sound' ? 'sound' : 'degraded', file: found.file, manifest: found.manifest };
}

function one(target: Target, why: Why, { place }: RecoveryConfig, { around, progress }: Call): Promise<MadeBackup> {
  return makeBackup({
    target,
    place,
    ...why,
    tool: `LeverEdge ${around.version}`,
    host: around.host,
    program: around.program,
    previousManifest: previousManifest(target.name, place),
    clock: around.clock,
    progress,
  });
}

function previousManifest(target: string, place: RecoveryConfig['place']): string | null {
  const newest = listBackups(place, [target]).find(({ manifest }) => manifest !== undefined);
  if (newest === undefined) return null;
  const { manifest } = filesBeside(newest.file);
  return existsSync(manifest) ? createHash('sha256').update(readFileSync(manifest)).digest('hex') : null;
}

/** As long as nothing speaks against the clock, it is taken as right. */
function tellClock({ place, targets }: RecoveryConfig, { around }: Call): void {
  const now = { wallMs: around.clock(), bootId: bootId(), uptimeS: uptimeSeconds() };
  const newest = listBackups(
    place,
    targets.map(({ name }) => name),
  )[0]?.atMs;
  const doubt = clockDoubt(now, readClock(place), newest);
  if (doubt === undefined) writeClock(place, now);
  else around.say(`Look at the clock of this machine: ${doubt}. Until then nothing is pruned.`);
}

function conclude(all: readonly Made[], failed: readonly Failed[]): Conclusion {
  const [first] = failed;
  if (all.length === 0) throw first?.fault ?? new Fault('not-found', 'The configuration names no target to back up.');
  const degraded = all.flatMap(({ made }) => made.manifest.degraded.map((text) => `${made.manifest.target}: ${text}`));
  const results = all.map(({ made: { kind, file, manifest }, ms }) => ({
    name: manifest.name,
    target: manifest.target,
    path: file,
    state: kind,
    bytes: bytesOf(manifest),
    sha256: manifest.archive.sha256,
    files: manifest.totals.files,
    content_bytes: manifest.totals.bytes,
    databases: [...manifest.databases, ...(manifest.postgres ?? [])].map(({ name }) => name),
    degraded: manifest.degraded,
    notes: manifest.notes,
    set: manifest.set,
    seconds: secondsOf(ms),
  }));
  const failures = failed.map(({ target, fault: { code, message, hint } }) => ({
    target,
    state: 'failed' as const,
    exit: exitCodeOf(code),
    error: { code, message, ...(hint ? { hint } : {}) },
  }));
  return {
    exit: degraded.length > 0 || failures.length > 0 ? Exit.partial : Exit.ok,
    lines: [
      ...all.flatMap(({ made: { file, manifest }, ms }) => [
        file,
        `  ${readBackText(manifest)}: ${showCount(manifest.totals.files, 'file')} and ${showCount(manifest.databases.length + (manifest.postgres ?? []).length, 'database')}, ${showBytes(manifest.totals.bytes)} in ${showBytes(bytesOf(manifest))}, in ${showSpan(ms)}.`,
      ]),
      ...failures.flatMap(({ target, error }) => [
        `${target}: FAILED. ${error.message}`,
        ...(error.hint ? [`  ${error.hint}`] : []),
      ]),
    ],
    // A script may read `results` always, and the one there is by its own members.
    json: { ...(failures.length === 0 && results.length === 1 ? results[0] : {}), results: [...results, ...failures] },
    notes: [
      ...all.flatMap(({ made, unfiled }) => [...made.manifest.notes, ...(unfiled === undefined ? [] : [unfiled])]),
      ...degraded.map((text) => `NOT WHOLE: ${text}`),
      ...(degraded.length > 0
        ? [
            'This backup does not count as the latest, and restores only by its name. Stop what writes there, or exclude it.',
          ]
        : []),
    ],
  };
}
