import { cpSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

/** `npm run build`: dist/ (or the folder given) holds everything that runs, and runs anywhere with nothing beside it. */
const root = join(import.meta.dirname, '..');
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

rmSync(dist, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ['src/bin/leveredge.ts', 'src/bin/store-worker.ts'],
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  // What only the bus needs is loaded by the bus only. The parts lie flat in dist/, so that paths from import.meta.url hold.
  splitting: true,
  chunkNames: 'part-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node26',
  // Some libraries still call require() for node's own modules.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  legalComments: 'linked',
  logLevel: 'warning',
});
cpSync(join(root, 'src/bus/store/sqlite/migrations'), join(dist, 'migrations'), { recursive: true });
