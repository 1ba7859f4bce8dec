import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { filesBeside } from '../../recovery/archive/manifest-file.ts';
import { type MadeBackup, makeBackup } from '../../recovery/backup/make-backup.ts';
import { listBackups } from '../../recovery/catalog/catalog.ts';
import { clockDoubt, readClock, writeClock } from '../../recovery/catalog/clock-guard.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { bootId, uptimeSeconds } from '../../recovery/run/live-process.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import type { Target } from '../../recovery/target.ts';
import { showBytes, showSpan } from '../amounts.ts';
import type { Call, Command } from '../command.ts';
import { requireNoInterrupted, targetsNamed } from '../targets.ts';

/** gaia backup — makes a backup and reads it back. Exit 0 sound, 9 made but something in it changed or could not be read. */
export const backup: Command = {
  name: 'backup',
  summary: 'Back a target up, and read the backup back before it counts',
  usage: 'TARGET|full',
  words: [1, 1],
  flags: {},
  details: [
    'Folders are read by GNU tar with owners, ACLs, extended attributes and holes; SQLite databases are copied by SQLite while they are in use.',
    'full backs up every target, as one set. Nothing that runs is stopped.',
  ],
  example: 'gaia backup prod',
  exits: [
    '0 made and read back',
    '1 failed, as on a full disk',
    '2 the configuration',
    '5 a folder is missing',
    '6 another run',
    '9 made, but not whole',
  ],
  async run(call) {
    const { around, words } = call;
    const config = call.config();
    const { place } = config;
    const wanted = words[0] as string;
    const targets = targetsNamed(config, wanted);
    for (const { name } of targets) requireNoInterrupted(place, name);
    const lock = takeLock(place, `backup ${wanted}`, around.clock);
    try {
      const set = wanted === 'full' ? randomBytes(8).toString('hex') : null;
      const made: { made: MadeBackup; ms: number }[] = [];
      for (const target of targets) {
        const began = performance.now();
        made.push({ made: await one(target, set, config, call), ms: performance.now() - began });
      }
      tellClock(config, call);
      return conclude(made);
    } finally {
      lock.release();
    }
  },
};

function one(
  target: Target,
  set: string | null,
  { place }: RecoveryConfig,
  { around, progress }: Call,
): Promise<MadeBackup> {
  return makeBackup({
    target,
    place,
    reason: 'manual',
    set,
    tool: `LeverEdge ${around.version}`,
    host: around.host,
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

function conclude(all: readonly { made: MadeBackup; ms: number }[]) {
  if (all.length === 0) throw new Fault('not-found', 'The configuration names no target to back up.');
  const degraded = all.flatMap(({ made }) => made.manifest.degraded.map((text) => `${made.manifest.target}: ${text}`));
  const results = all.map(({ made: { kind, file, manifest }, ms }) => ({
    name: manifest.name,
    target: manifest.target,
    path: file,
    state: kind,
    bytes: manifest.archive.bytes,
    sha256: manifest.archive.sha256,
    files: manifest.totals.files,
    content_bytes: manifest.totals.bytes,
    databases: manifest.databases.map(({ name }) => name),
    degraded: manifest.degraded,
    notes: manifest.notes,
    set: manifest.set,
    seconds: Number((ms / 1000).toFixed(3)),
  }));
  return {
    exit: degraded.length > 0 ? Exit.partial : Exit.ok,
    lines: all.flatMap(({ made: { file, manifest }, ms }) => [
      file,
      `  Read back whole: ${manifest.totals.files} files and ${manifest.databases.length} databases, ${showBytes(manifest.totals.bytes)} in ${showBytes(manifest.archive.bytes)}, in ${showSpan(ms)}.`,
    ]),
    json: results.length === 1 ? results[0] : { results },
    notes: [
      ...all.flatMap(({ made }) => made.manifest.notes),
      ...degraded.map((text) => `NOT WHOLE: ${text}`),
      ...(degraded.length > 0
        ? [
            'This backup does not count as the latest, and restores only by its name. Stop what writes there, or exclude it.',
          ]
        : []),
    ],
  };
}
