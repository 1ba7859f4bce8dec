import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeFolder } from './files.ts';

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
