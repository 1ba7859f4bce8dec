import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeStand } from './gaia.fixtures.ts';

const dist = mkdtempSync(join(tmpdir(), 'gaia-dist-'));
after(() => rmSync(dist, { recursive: true }));

/** A program in an empty folder with an empty environment; not even PATH is there. */
function alone(words: readonly string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync('/usr/bin/env', ['-i', ...words], {
    cwd,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { exit: status, stdout, stderr };
}

describe('what the build makes of gaia', { timeout: 120_000 }, () => {
  before(() => {
    const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, '../../tools/build.ts'), dist], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  });

  const forms: [string, () => string[]][] = [
    ['gaia.mjs', () => [process.execPath, join(dist, 'gaia.mjs')]],
    ['the executable', () => [join(dist, 'gaia')]],
  ];
  for (const [form, program] of forms)
    it(`${form} backs up, restores in a process of its own, and undoes, with nothing beside it and in no environment`, (t) => {
      const stand = makeStand(t, { more: 'health: none' });
      // Nothing of the build's folder may be needed but the one file.
      const words = program();
      const lonely = join(stand.home, 'lonely');
      const file = join(lonely, 'gaia.mjs');
      mkdirSync(lonely);
      if (words.length === 2) writeFileSync(file, readFileSync(words[1] as string));
      const empty = join(stand.home, 'empty');
      mkdirSync(empty);
      const gaia = (...args: string[]) =>
        alone([...(words.length === 2 ? [words[0] as string, file] : words), ...args, '--config', stand.config], empty);
      assert.match(alone([...words, '--version'], empty).stdout, /^\d+\.\d+\.\d+\n$/);
      const made = gaia('backup', 'dev');
      assert.equal(made.exit, 0, made.stderr);
      assert.equal(gaia('verify', 'latest').exit, 0);
      writeFileSync(join(stand.root, 'notes'), 'changed\n');
      const restored = gaia('restore', 'dev', '--yes');
      assert.equal(restored.exit, 0, restored.stderr);
      assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
      const undone = gaia('undo', 'dev', '--yes');
      assert.equal(undone.exit, 0, undone.stderr);
      assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
      assert.deepEqual(readdirSync(empty), []);
    });
});
