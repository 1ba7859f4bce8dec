// Starts a program of LeverEdge on Node 26, whatever Node the shell has. This file alone must run on Node 20: it finds the
// Node that npm installed beside the package and hands everything over to it.
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const oldestNode = 26;
const program = dirname(dirname(fileURLToPath(import.meta.url)));
const parentWatchMs = 500;
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Runs `src/bin/<name>.ts`, or its bundle in dist/. `as`: the agent whose commands alone it has, and whose name. */
export async function launch(name, as) {
  if (as !== undefined) process.argv.splice(2, 0, `--as=${as}`);
  if (process.env.npm_lifecycle_event && process.platform !== 'win32') endWithParent();
  if (Number.parseInt(process.versions.node, 10) >= oldestNode) {
    const cache = cacheFolder();
    if (cache !== undefined) module.enableCompileCache(cache);
    await import(pathToFileURL(entry(name)).href);
  } else {
    const node = nodeOfPackage();
    if (node) handOver(node, name);
    else {
      process.stderr.write(
        `${as ?? name}: this is Node ${process.versions.node}, and LeverEdge needs Node ${oldestNode}. npm brings it along for ` +
          `${process.platform}-${process.arch} unless optional packages are left out.\n` +
          `  Run "npm ci" without --omit=optional in ${program}, or put Node ${oldestNode} on the PATH.\n`,
      );
      process.exit(1);
    }
  }
}

/**
 * The bundle in dist/, else the sources. In a git checkout the sources win even when dist/ is there, because a bundle of
 * last week would hide every change made since; LEVEREDGE_DIST=1 runs the bundle all the same.
 */
function entry(name) {
  const bundle = join(program, 'dist', `${name}.mjs`);
  const source = join(program, 'src', 'bin', `${name}.ts`);
  const preferSource = existsSync(join(program, '.git')) && process.env.LEVEREDGE_DIST !== '1';
  if (preferSource && existsSync(source)) return source;
  return existsSync(bundle) ? bundle : source;
}

/** The executable of the npm package `node-<platform>-<arch>`, looked up as Node looks up packages (also hoisted ones). */
function nodeOfPackage() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const require = createRequire(import.meta.url);
  for (const name of [`node-${platform}-${process.arch}`, `node-bin-${platform}-${process.arch}`])
    try {
      const node = join(
        dirname(require.resolve(`${name}/package.json`)),
        'bin',
        platform === 'win' ? 'node.exe' : 'node',
      );
      if (existsSync(node)) return node;
    } catch {
      // Not installed here; the next name may be.
    }
  return undefined;
}

/**
 * Where Node keeps what it has compiled (and stripped of types), which halves the time that a command takes. Only in a
 * folder of this user: files of root in somebody's node_modules would stop their next `npm ci`.
 */
function cacheFolder() {
  const modules = join(program, 'node_modules');
  const owner = statSync(modules, { throwIfNoEntry: false })?.uid;
  return owner !== undefined && owner === process.getuid?.() ? join(modules, '.cache', 'leveredge') : undefined;
}

function handOver(node, name) {
  const cache = process.env.NODE_COMPILE_CACHE ?? cacheFolder();
  const env = cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: cache };
  const child = spawn(node, [entry(name), ...process.argv.slice(2)], { stdio: 'inherit', env });
  // At a terminal Ctrl-C reaches the child by itself too; it takes the pair as one.
  for (const signal of forwarded) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`${name}: Node ${oldestNode} at ${node} does not start: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

/**
 * npm runs a script below a shell, and a SIGTERM to npm ends that shell but reaches nobody below it; the bus would stay
 * behind and hold its port. So below npm the end of the parent counts as SIGTERM.
 */
function endWithParent() {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, parentWatchMs);
  watch.unref();
}
