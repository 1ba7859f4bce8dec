import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isThere, makeFolder } from './files.ts';

describe('making a folder', () => {
  it('makes what is missing above it, with the mode, and may be repeated', (t) => {
    const root = mkdtempSync(join(tmpdir(), 'files-'));
    t.after(() => rmSync(root, { recursive: true }));
    const folder = join(root, 'ä b', 'c');
    makeFolder(folder, 0o700);
    makeFolder(folder, 0o700);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    writeFileSync(join(root, 'file'), '');
    assert.throws(() => makeFolder(join(root, 'file', 'below'), 0o700), /ENOTDIR|EEXIST/);
  });

  it('gives up where no folder can be made', { skip: existsSync('/proc/self') ? false : 'there is no /proc' }, () => {
    assert.throws(() => makeFolder('/proc/nope/control-plane/event-bus', 0o700), /ENOENT/);
  });
});

describe('looking whether something is there', () => {
  it('knows what is there, also a folder, and what is not', (t) => {
    const root = mkdtempSync(join(tmpdir(), 'files-'));
    t.after(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, 'file'), '');
    const found = ['', 'file', 'none', 'file/below'].map((name) => isThere(join(root, name)));
    assert.deepEqual(found, [true, true, false, false]);
  });

  const cannot =
    process.getuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0 ? false : 'needs root and setpriv';
  it('counts the rights of a process beyond those of its user', { skip: cannot }, (t) => {
    const root = mkdtempSync(join(tmpdir(), 'files-'));
    t.after(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, 'file'), '');
    const code = `import('${join(import.meta.dirname, 'files.ts')}').then(({ isThere }) => console.log(isThere('${root}/file')))`;
    const look = (...rights: string[]) => {
      const words = ['--reuid=65534', '--clear-groups', ...rights, process.execPath, '--input-type=module', '-e', code];
      return spawnSync('setpriv', words, { encoding: 'utf8', cwd: '/' }).stdout.trim();
    };
    assert.equal(look('--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'), 'true');
    assert.equal(look(), 'false');
  });
});
