import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { fillTree, fullMix, quickMix } from './archive-data.ts';
import { median } from './machine.ts';
import { missingTool } from './tools.ts';

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

type Options = { quick: boolean; rounds: number; note: (line: string) => void };
type Job = { name: string; needs?: string; prepare?: () => void; run: () => Partial<ArchiveRow> & { tookMs?: number } };

const password = { RESTIC_PASSWORD: 'bench', BORG_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };

/**
 * Backs one tree up with ours and with what people use instead, in turns. The tree is in the page cache: it was just
 * written and is read once before.
 */
export function benchArchive({ quick, rounds, note }: Options): ArchiveResult {
  const home = mkdtempSync(join(tmpdir(), 'bench-archive-'));
  const root = join(home, 'data');
  try {
    mkdirSync(root);
    const left = fillTree(root, quick ? quickMix : fullMix);
    note('the tree is made');
    sh(home, 'tar -cf - -C data . | cat > /dev/null');
    const entries = Number(sh(home, 'find data | wc -l'));
    const treeMib = Number(sh(home, 'du -sm data | cut -f1'));
    bundleOurs(home);
    const backup = rows(backupJobs(home), rounds, left, note);
    const verify = rows(verifyJobs(home), rounds, left, note);
    const restore = rows(restoreJobs(home), rounds, left, note);
    const listed = benchList(home, rounds);
    return { treeMib, entries, backup, verify, restore, listed, left };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Copies of one small backup under other names; the bundle, as it is on a server. */
function benchList(home: string, rounds: number): ArchiveResult['listed'] {
  const backups = 500;
  const gaia = join(home, 'dist', 'gaia.mjs');
  execFileSync(process.execPath, [join(import.meta.dirname, '../tools/build.ts'), join(home, 'dist')], {
    stdio: 'ignore',
  });
  mkdirSync(join(home, 'few'));
  writeFileSync(join(home, 'few', 'a'), 'a');
  mkdirSync(join(home, 'gaia'));
  const config = join(home, 'gaia', 'config.yaml');
  writeFileSync(
    config,
    `backup_locations: { local: ${join(home, 'kept')} }\nrestore_targets: { data-plane: { dev: { root: ${join(home, 'few')} } } }\n`,
  );
  const call = (...words: string[]) =>
    execFileSync(process.execPath, [gaia, ...words, '--config', config], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  call('backup', 'dev');
  const folder = join(home, 'kept', 'dev');
  const stem = (readdirSync(folder).find((name) => name.endsWith('.tar.zst')) as string).replace('.tar.zst', '');
  for (let i = 1; i < backups; i++) {
    const name = `dev-2026-01-01-${String(i).padStart(6, '0')}`;
    for (const end of ['.tar.zst', '.manifest.json.sig'])
      copyFileSync(join(folder, stem + end), join(folder, name + end));
    const manifest = readFileSync(join(folder, `${stem}.manifest.json`), 'utf8').replaceAll(stem, name);
    writeFileSync(join(folder, `${name}.manifest.json`), manifest);
  }
  const seconds: number[] = [];
  for (let round = 0; round < Math.max(3, rounds); round++) {
    const began = performance.now();
    const lines = call('list').trim().split('\n').length;
    seconds.push((performance.now() - began) / 1000);
    if (lines !== backups) throw new Error(`${lines} backups were listed instead of ${backups}`);
  }
  return { backups, seconds };
}

function backupJobs(home: string): Job[] {
  const fresh = (name: string) => () => rmSync(join(home, name), { recursive: true, force: true });
  const sized = (name: string) => ({ bytes: Number(sh(home, `du -sb ${name} | cut -f1`)) });
  return [
    {
      name: 'gaia backup',
      prepare: fresh('backups'),
      run: () => {
        const { writtenMs, bytes, maxRssMib } = ours(home, 'backup');
        return { tookMs: writtenMs, bytes, maxRssMib };
      },
    },
    {
      name: 'gaia backup, with reading back',
      prepare: fresh('backups'),
      run: () => {
        const { ms, bytes, maxRssMib } = ours(home, 'backup');
        return { tookMs: ms, bytes, maxRssMib };
      },
    },
    {
      name: 'gaia backup, encrypted, with reading back',
      prepare: fresh('sealed'),
      run: () => {
        const { ms, bytes, maxRssMib } = ours(home, 'backup-sealed');
        return { tookMs: ms, bytes, maxRssMib };
      },
    },
    shell(home, 'tar \\| zstd -3 -T0', 'tar -cf - -C data . | zstd -q -3 -T0 -f -o tar.zst', () => sized('tar.zst')),
    shell(home, 'tar \\| gzip', 'tar -cf - -C data . | gzip > tar.gz', () => sized('tar.gz')),
    {
      ...shell(home, 'restic, first run', 'restic -q -r restic backup data', () => sized('restic')),
      needs: 'restic',
      prepare: () => {
        fresh('restic')();
        sh(home, 'restic -q -r restic init');
      },
    },
    {
      ...shell(
        home,
        'restic, first run, then check --read-data',
        'restic -q -r restic backup data && restic -q -r restic check --read-data',
      ),
      needs: 'restic',
      prepare: () => {
        fresh('restic')();
        sh(home, 'restic -q -r restic init');
      },
    },
    { ...shell(home, 'restic, nothing new', 'restic -q -r restic backup data'), needs: 'restic' },
    ...['', ', with reading back'].map((extent) => ({
      name: `gaia backup into restic, first run${extent}`,
      needs: 'restic' as const,
      prepare: () => {
        fresh('engine')();
        fresh('pointers')();
        sh(home, 'restic -q -r engine init');
      },
      run: () => {
        const { ms, writtenMs, maxRssMib } = ours(home, 'backup-restic');
        return { tookMs: extent === '' ? writtenMs : ms, maxRssMib, ...sized('engine') };
      },
    })),
    {
      name: 'gaia backup into restic, nothing new',
      needs: 'restic',
      run: () => {
        const { ms, maxRssMib } = ours(home, 'backup-restic');
        return { tookMs: ms, maxRssMib };
      },
    },
    {
      ...shell(home, 'borg, first run', 'borg create -C zstd,3 borg::one data', () => sized('borg')),
      needs: 'borg',
      prepare: () => {
        fresh('borg')();
        sh(home, 'borg init -e none borg');
      },
    },
  ];
}

function verifyJobs(home: string): Job[] {
  const archive = () =>
    `backups/bench/${readdirSync(join(home, 'backups/bench')).find((name) => name.endsWith('.tar.zst'))}`;
  return [
    {
      name: 'gaia verify',
      run: () => {
        const { ms, maxRssMib } = ours(home, 'verify');
        return { tookMs: ms, maxRssMib };
      },
    },
    {
      name: 'gaia verify, encrypted',
      run: () => {
        const { ms, maxRssMib } = ours(home, 'verify-sealed');
        return { tookMs: ms, maxRssMib };
      },
    },
    {
      name: 'zstd -t',
      run: () => {
        sh(home, `zstd -tq ${archive()}`);
        return {};
      },
    },
    { ...shell(home, 'restic check --read-data', 'restic -q -r restic check --read-data'), needs: 'restic' },
    { ...shell(home, 'borg check --verify-data', 'borg check --verify-data borg'), needs: 'borg' },
  ];
}

function restoreJobs(home: string): Job[] {
  // ext4 makes new files slowly for minutes after many were removed, so what one restored is moved away for the next.
  let done = 0;
  const fresh = () => {
    sh(home, `mkdir -p gone/${++done} && mv out out.pre-restore.* gone/${done}/ 2> /dev/null || true`);
    mkdirSync(join(home, 'out'));
  };
  const own = (name: string, what: Parameters<typeof ours>[1]): Job => ({
    name,
    // Something is there, which is put aside: that is what a restore is.
    prepare: () => {
      fresh();
      writeFileSync(join(home, 'out', 'old'), 'old\n');
    },
    run: () => {
      const { ms, maxRssMib, gapMs } = ours(home, what);
      return { tookMs: ms, maxRssMib, gapMs };
    },
  });
  return [
    own('gaia restore', 'restore'),
    own('gaia restore, encrypted', 'restore-sealed'),
    {
      ...shell(home, 'zstd -d \\| tar x, then sync -f', 'zstd -dcq tar.zst | tar -x -C out && sync -f out'),
      prepare: fresh,
    },
    { ...shell(home, 'zstd -d \\| tar x', 'zstd -dcq tar.zst | tar -x -C out'), prepare: fresh },
    {
      ...shell(home, 'restic restore', 'restic -q -r restic restore latest --target out'),
      needs: 'restic',
      prepare: fresh,
    },
    {
      ...shell(home, 'restic restore, then sync -f', 'restic -q -r restic restore latest --target out && sync -f out'),
      needs: 'restic',
      prepare: fresh,
    },
    { ...own('gaia restore out of restic', 'restore-restic'), needs: 'restic' },
    { ...shell(home, 'borg extract', 'cd out && borg extract ../borg::one'), needs: 'borg', prepare: fresh },
  ];
}

function rows(jobs: readonly Job[], rounds: number, left: string[], note: (line: string) => void): ArchiveRow[] {
  const able = jobs.filter(({ name, needs }) => {
    const missing = needs ? missingTool(needs) : undefined;
    if (missing) left.push(`${name}: ${missing}`);
    return !missing;
  });
  const found = able.map(({ name }): ArchiveRow => ({ name, seconds: [] }));
  for (let round = 0; round < rounds; round++)
    for (const [i, job] of able.entries()) {
      job.prepare?.();
      // Nobody shall wait for what another has written.
      execFileSync('sync');
      const began = performance.now();
      const { tookMs = performance.now() - began, ...more } = timed(job, began);
      const row = Object.assign(found[i] as ArchiveRow, more);
      row.seconds.push(tookMs / 1000);
      note(`${job.name}: ${(tookMs / 1000).toFixed(2)} s`);
    }
  return found;
}

/** The time is taken before sizes are asked for. */
function timed(job: Job, began: number): Partial<ArchiveRow> & { tookMs: number } {
  const result = job.run();
  return { ...result, tookMs: result.tookMs ?? performance.now() - began };
}

function shell(home: string, name: string, command: string, after: () => Partial<ArchiveRow> = () => ({})): Job {
  return {
    name,
    run: () => {
      const began = performance.now();
      sh(home, command);
      const tookMs = performance.now() - began;
      return { tookMs, ...after() };
    },
  };
}

function sh(cwd: string, command: string): string {
  const env = {
    ...process.env,
    ...password,
    RESTIC_CACHE_DIR: join(cwd, 'cache'),
    BORG_BASE_DIR: join(cwd, 'borg-base'),
  };
  const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
    cwd,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}

/** As one file, as it is on a server. */
function bundleOurs(home: string): void {
  const require = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  buildSync({
    entryPoints: [join(import.meta.dirname, 'archive-run.ts')],
    outfile: join(home, 'archive-run.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: require },
  });
}

function ours(home: string, what: `${'backup' | 'verify' | 'restore'}${'' | '-sealed' | '-restic'}`) {
  const text = execFileSync(process.execPath, [join(home, 'archive-run.mjs'), what, home], { encoding: 'utf8' });
  return JSON.parse(text) as { ms: number; writtenMs: number; bytes: number; maxRssMib: number; gapMs?: number };
}

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
