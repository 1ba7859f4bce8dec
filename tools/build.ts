import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

/** `npm run build`: dist/ (or the folder given) holds everything that runs, and runs anywhere with nothing beside it. */
const root = join(import.meta.dirname, '..');
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

const shared = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  // Some libraries still call require() for node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
} as const satisfies BuildOptions;

/**
 * An import of node:http by name reads all that it exports, and that loads a client for WebSockets: 15 MiB that bots have to do
 * without, who wait for years. `importers`: whose imports are meant.
 */
const smallHttp = (importers: RegExp): Plugin => ({
  name: 'small http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?http$/ }, ({ importer }) =>
      importers.test(importer) ? { path: 'http', namespace: 'small' } : undefined,
    );
    onLoad({ filter: /^http$/, namespace: 'small' }, () => ({
      contents: "export const { Agent, createServer, request } = process.getBuiltinModule('node:http');",
    }));
  },
});

rmSync(dist, { recursive: true, force: true });
await build({
  ...shared,
  entryPoints: ['src/bin/leveredge.ts', 'src/bin/store-worker.ts'],
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  // grammY is given a fetch (src/channels/telegram/small-fetch.ts); the one it brings would warn at each start.
  alias: { 'node-fetch': 'http' },
  plugins: [smallHttp(/src\/channels\/telegram\/|node_modules\/grammy\//)],
  // What only the bus needs is loaded by the bus only. The parts lie flat in dist/, so that paths from import.meta.url hold.
  splitting: true,
  chunkNames: 'part-[hash]',
  legalComments: 'linked',
});
cpSync(join(root, 'src/bus/store/sqlite/migrations'), join(dist, 'migrations'), { recursive: true });
await buildGaia();
buildExecutable();

/** One file that needs Node and nothing else, also no file beside it. */
async function buildGaia(): Promise<void> {
  const outfile = join(dist, 'gaia.mjs');
  const { metafile } = await build({
    ...shared,
    entryPoints: ['src/bin/gaia.ts'],
    outfile,
    metafile: true,
    plugins: [smallHttp(/./)],
    // A library names them without the prefix, which Node takes too.
    alias: { buffer: 'node:buffer', process: 'node:process' },
    banner: { js: `#!/usr/bin/env node\n${shared.banner.js}` },
    legalComments: 'inline',
    define: { BOOTSTRAP_SCRIPT: JSON.stringify(readFileSync(join(root, 'deploy/scripts/bootstrap.sh'), 'utf8')) },
  });
  const outside = Object.values(metafile.outputs)
    .flatMap(({ imports }) => imports)
    .filter(({ path, external }) => external && !path.startsWith('node:'));
  if (outside.length > 0)
    throw new Error(`gaia.mjs would need ${outside.map(({ path }) => path).join(', ')} beside it`);
  chmodSync(outfile, 0o755);
}

/** The same with Node in it, for a machine that has none (https://nodejs.org/api/single-executable-applications.html). */
function buildExecutable(): void {
  const config = join(dist, 'gaia.sea.json');
  const main = join(dist, 'gaia.mjs');
  writeFileSync(
    config,
    JSON.stringify({ main, mainFormat: 'module', output: join(dist, 'gaia'), disableExperimentalSEAWarning: true }),
  );
  const made = spawnSync(process.execPath, ['--build-sea', config], { encoding: 'utf8', cwd: tmpdir() });
  rmSync(config);
  if (made.status !== 0) throw new Error(`the executable could not be made: ${made.stderr}`);
}
