import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from './fault.ts';
import { readPrivately, writePrivately } from './private-file.ts';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'leveredge-private-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('a file for its owner alone', () => {
  it('is written so, with the folders above it, whatever the umask', (t) => {
    const path = join(folder(t), 'a/b/secret');
    const umask = process.umask(0);
    t.after(() => process.umask(umask));
    writePrivately(path, 'sesame');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
    assert.equal(readPrivately(path), 'sesame');
  });

  it('overwrites nothing, nor where a link leads', (t) => {
    const at = folder(t);
    writePrivately(join(at, 'there'), 'first');
    symlinkSync(join(at, 'elsewhere'), join(at, 'link'));
    for (const name of ['there', 'link'])
      assert.throws(() => writePrivately(join(at, name), 'second'), { code: 'conflict' });
    assert.equal(readPrivately(join(at, 'there')), 'first');
    assert.equal(readPrivately(join(at, 'elsewhere')), undefined);
  });

  it('is not read where others may read or write it', (t) => {
    const path = join(folder(t), 'secret');
    writeFileSync(path, 'sesame');
    for (const mode of [0o644, 0o640, 0o604, 0o620, 0o660, 0o601]) {
      chmodSync(path, mode);
      assert.throws(() => readPrivately(path), { code: 'forbidden', message: /no secret/, hint: /chmod 600/ });
    }
    for (const mode of [0o600, 0o400, 0o700]) {
      chmodSync(path, mode);
      assert.equal(readPrivately(path), 'sesame');
    }
  });

  it('says what to type for a path with blanks, too', (t) => {
    const path = join(folder(t), 'my secret');
    writeFileSync(path, 'sesame', { mode: 0o644 });
    const typed = `chmod 600 '${path}'`;
    assert.throws(
      () => readPrivately(path),
      (error) => error instanceof Fault && error.hint?.includes(typed) === true,
    );
  });

  it('is undefined where there is none, and a sentence where it cannot be one', (t) => {
    const at = folder(t);
    assert.equal(readPrivately(join(at, 'none')), undefined);
    writeFileSync(join(at, 'file'), '', { mode: 0o600 });
    assert.equal(readPrivately(join(at, 'file/below')), undefined);
    mkdirSync(join(at, 'folder'), { mode: 0o700 });
    assert.throws(() => readPrivately(join(at, 'folder')), { code: 'usage', message: /is a folder/ });
    writeFileSync(join(at, 'large'), 'x'.repeat(70_000), { mode: 0o600 });
    assert.throws(() => readPrivately(join(at, 'large')), { code: 'usage', message: /too large/ });
  });
});
