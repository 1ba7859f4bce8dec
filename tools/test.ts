import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/**
 * Runs `node --test` over the files given, with what Node compiles kept between processes: the tests start hundreds, and
 * most of the time of a short one is compiling. One file more at a time than there are cores, because many of them wait.
 */
const env = { ...process.env };
env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '../node_modules/.cache/leveredge');
const concurrency = `--test-concurrency=${availableParallelism() + 1}`;
const tests = spawn(process.execPath, ['--test', concurrency, ...process.argv.slice(2)], { stdio: 'inherit', env });
tests.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
