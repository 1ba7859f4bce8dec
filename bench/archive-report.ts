import { median } from './machine.ts';

/** One contestant at one job: seconds of each round, bytes on disk where something is written. */
export type ArchiveRow = {
  name: string;
  seconds: number[];
  bytes?: number | undefined;
  maxRssMib?: number | undefined;
  /** The longest time a live path was missing in a restore. */
  gapMs?: number | undefined;
};

export type ArchiveResult = {
  /** What a program reads of the tree, and how many names there are. */
  treeMib: number;
  entries: number;
  backup: ArchiveRow[];
  verify: ArchiveRow[];
  restore: ArchiveRow[];
  /** `gaia list` over so many backups, as a whole process. */
  listed: { backups: number; seconds: number[] };
  left: string[];
};

/** The archive part of docs/performance.md. */
export function archiveReport({ treeMib, entries, backup, verify, restore, listed, left }: ArchiveResult): string {
  const seconds = (rows: ArchiveRow[], name: string) => median(rows.find((row) => row.name === name)?.seconds ?? []);
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  const written = seconds(backup, 'gaia backup');
  const memory = Math.max(...[...backup, ...verify, ...restore].map(({ maxRssMib = 0 }) => maxRssMib));
  const restored = seconds(restore, 'gaia restore');
  const gap = Math.max(...restore.map(({ gapMs = 0 }) => gapMs));
  return [
    '### Backups',
    '',
    `${treeMib.toLocaleString('en')} MiB on disk in ${entries.toLocaleString('en')} names: pages of a database, noise, logs, small files, hard links, sparse files, xattrs. ` +
      'All in the page cache. Medians of the rounds, the contestants in turns; only ours hash each file and wait for the disk.',
    ...tableOf('to back up', backup),
    ...tableOf('to verify', verify),
    ...tableOf('to restore', restore),
    '',
    '| what | wanted | measured | met |',
    '|---|---|---|---|',
    target(
      'backup against `tar \\| zstd -3 -T0`, reading back apart',
      1.25,
      ratio(written, seconds(backup, 'tar \\| zstd -3 -T0')),
    ),
    target('verify against `zstd -t`', 1.5, ratio(seconds(verify, 'gaia verify'), seconds(verify, 'zstd -t'))),
    target('backup against restic', 1, ratio(written, seconds(backup, 'restic, first run'))),
    target('backup against borg', 1, ratio(written, seconds(backup, 'borg, first run'))),
    target('restore against `zstd -d \\| tar x`', 1.25, ratio(restored, seconds(restore, 'zstd -d \\| tar x'))),
    target('restore against restic', 1, ratio(restored, seconds(restore, 'restic restore'))),
    target('restore against borg', 1, ratio(restored, seconds(restore, 'borg extract'))),
    target(
      'encrypted backup against unencrypted, with reading back',
      1.3,
      ratio(
        seconds(backup, 'gaia backup, encrypted, with reading back'),
        seconds(backup, 'gaia backup, with reading back'),
      ),
    ),
    target('encrypted restore against unencrypted', 1.3, ratio(seconds(restore, 'gaia restore, encrypted'), restored)),
    target(
      'backup into restic against bare restic, reading back apart',
      1.2,
      ratio(seconds(backup, 'gaia backup into restic, first run'), seconds(backup, 'restic, first run')),
    ),
    target(
      'backup into restic, with reading back, against restic and its check',
      1.2,
      ratio(
        seconds(backup, 'gaia backup into restic, first run, with reading back'),
        seconds(backup, 'restic, first run, then check --read-data'),
      ),
    ),
    target(
      'restore out of restic against bare restic, with sync',
      1.2,
      ratio(seconds(restore, 'gaia restore out of restic'), seconds(restore, 'restic restore, then sync -f')),
    ),
    target('between the two renames, ms', 50, gap.toFixed(2)),
    target(`gaia list with ${listed.backups} backups, seconds`, 0.3, median(listed.seconds).toFixed(2)),
    target('peak memory, MiB', 350, memory.toFixed(0)),
    ...(left.length > 0 ? ['', ...left.map((line) => `Left out: ${line}.`)] : []),
  ].join('\n');
}

function target(what: string, most: number, measured: string): string {
  const met = Number.isNaN(Number(measured)) ? 'not measured' : Number(measured) <= most ? 'yes' : '**no**';
  return `| ${what} | at most ${most} | ${measured} | ${met} |`;
}

function tableOf(title: string, rows: readonly ArchiveRow[]): string[] {
  const mib = (bytes: number | undefined) => (bytes === undefined ? '–' : (bytes / 2 ** 20).toFixed(0));
  return [
    '',
    `| ${title} | seconds | MiB written | peak memory, MiB |`,
    '|---|---|---|---|',
    ...rows.map(
      ({ name, seconds, bytes, maxRssMib }) =>
        `| ${name} | ${median(seconds).toFixed(2)} | ${mib(bytes)} | ${maxRssMib?.toFixed(0) ?? '–'} |`,
    ),
  ];
}
