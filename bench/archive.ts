import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { fillTree, fullMix, quickMix } from './archive-data.ts';
import type { ArchiveResult, ArchiveRow } from './archive-report.ts';
import { missingTool } from './tools.ts';

type Options = { quick: boolean; rounds: number; note: (line: string) => void };
type Job = {
  name: string;
  needs?: string;
  /** It takes what the one before it has made. */
  follows?: true;
  prepare?: () => void;
  run: () => Partial<ArchiveRow> & { tookMs?: number };
};

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
    { ...shell(home, 'restic, nothing new', 'restic -q -r restic backup data'), needs: 'restic', follows: true },
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
      follows: true,
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
    for (const i of orderOf(able, round)) {
      const job = able[i] as Job;
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

/**
 * From the first to the last, then from the last to the first: what runs right after a greedy one finds the disk at work, and that
 * should not always be the same. What follows another stays behind it.
 */
function orderOf(jobs: readonly Job[], round: number): number[] {
  const groups: number[][] = [];
  for (const [i, { follows }] of jobs.entries())
    if (follows) groups.at(-1)?.push(i);
    else groups.push([i]);
  return (round % 2 === 0 ? groups : groups.reverse()).flat();
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
