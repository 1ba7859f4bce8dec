import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { run } from './recovery/gaia.fixtures.ts';

const scripts = join(import.meta.dirname, '../deploy/scripts');

/** The scripts beside a program that prints its arguments, a line each, and exits with 7. */
function doors(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'doors-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'with space'));
  const at = join(folder, 'with space');
  const drills = ['control', 'prod', 'dev'].map((name) => `test-restore-${name}.sh`);
  for (const name of ['find-gaia.sh', 'restore.sh', 'verify-backup.sh', ...drills])
    copyFileSync(join(scripts, name), join(at, name));
  writeFileSync(join(at, 'gaia'), '#!/bin/sh\nprintf "%s\\n" "$@"\nexit 7\n');
  chmodSync(join(at, 'gaia'), 0o755);
  return { folder, at };
}

describe('the doors to gaia', () => {
  const cases: [script: string, words: string[], handed: string[]][] = [
    ['restore.sh', ['list', '--target', 'dev'], ['list', '--target', 'dev']],
    ['restore.sh', ['verify'], ['verify', 'latest']],
    ['restore.sh', ['verify', '--target', 'dev'], ['verify', 'latest', '--target', 'dev']],
    ['restore.sh', ['verify', 'a backup'], ['verify', 'a backup']],
    ['restore.sh', ['restore', 'dev', '--yes'], ['restore', 'dev', '--yes']],
    ['restore.sh', ['full', '--yes'], ['restore', 'full', '--yes']],
    ['restore.sh', ['--full', '--latest'], ['restore', 'full']],
    ['restore.sh', ['--full'], ['restore', 'full']],
    ['restore.sh', ['health'], ['health']],
    ['verify-backup.sh', [], ['verify', 'latest']],
    ['test-restore-control.sh', [], ['drill', 'control-plane']],
    ['test-restore-prod.sh', ['--backup', 'x'], ['drill', 'prod', '--backup', 'x']],
    ['test-restore-dev.sh', [], ['drill', 'dev']],
    ['verify-backup.sh', ['x*'], ['verify', 'x*']],
  ];
  for (const [script, words, handed] of cases)
    it(`${script} ${words.join(' ')} hands over ${handed.join(' ')}, and the exit code back`, async (t) => {
      const { at } = doors(t);
      const { exit, stdout, stderr } = await run('sh', [join(at, script), ...words]);
      assert.equal(exit, 7, stderr);
      assert.deepEqual(stdout.trimEnd().split('\n'), handed);
    });

  it('are found through a link, as in /usr/local/bin', async (t) => {
    const { folder, at } = doors(t);
    symlinkSync(join(at, 'restore.sh'), join(folder, 'restore'));
    assert.equal((await run('sh', [join(folder, 'restore'), 'list'])).exit, 7);
  });

  it('say what there is, and refuse what there is not', async (t) => {
    const { at } = doors(t);
    assert.equal((await run('sh', [join(at, 'restore.sh')])).exit, 0);
    const refused = await run('sh', [join(at, 'restore.sh'), 'erase']);
    assert.equal(refused.exit, 2);
    assert.match(refused.stderr, /there is no erase/);
  });

  it('say so when there is no gaia', async (t) => {
    const { at } = doors(t);
    rmSync(join(at, 'gaia'));
    const { exit, stderr } = await run('sh', [join(at, 'restore.sh'), 'list'], { PATH: '/usr/bin:/bin' });
    assert.equal(exit, 5);
    assert.match(stderr, /GAIA=/);
  });
});
