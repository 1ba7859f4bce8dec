import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { BytePath } from '../byte-path.ts';
import { readOld, verifyOld } from './old-archive.ts';

function oldArchive(t: TestContext, ...flags: string[]): { home: string; file: string } {
  const home = mkdtempSync(join(tmpdir(), 'old-'));
  t.after(() => rmSync(home, { recursive: true }));
  mkdirSync(join(home, 'dev/folder'), { recursive: true });
  writeFileSync(join(home, 'dev/folder/a'), 'contents of a\n'.repeat(1000));
  writeFileSync(join(home, 'dev', 'long-'.repeat(16)), 'a long name');
  const file = join(home, 'dev.tar');
  execFileSync('tar', ['-C', home, ...flags, '-cf', file, 'dev']);
  return { home, file };
}

describe('an archive of an older tool', () => {
  it('is read whatever it is packed with', async (t) => {
    for (const flags of [['--format=gnu'], ['--format=posix'], ['--format=ustar']]) {
      const { file } = oldArchive(t, '-z', ...flags);
      const paths: BytePath[] = [];
      await readOld(file, { entry: ({ path }) => paths.push(path), data() {}, end() {} });
      assert.ok(paths.includes('dev/folder/a' as BytePath));
      assert.equal((await verifyOld(file)).kind, 'unverified-format');
    }
  });

  it('may be several gzip members', async (t) => {
    const { file } = oldArchive(t);
    const plain = readFileSync(file);
    writeFileSync(file, Buffer.concat([gzipSync(plain.subarray(0, 5000)), gzipSync(plain.subarray(5000))]));
    assert.equal((await verifyOld(file)).kind, 'unverified-format');
  });

  it('is damaged when it is cut off, flipped, or followed by something', async (t) => {
    const { file } = oldArchive(t, '-z');
    const whole = readFileSync(file);
    const judge = async (bytes: Buffer) => {
      writeFileSync(file, bytes);
      return (await verifyOld(file)).kind;
    };
    for (let end = 0; end < whole.length; end += 1)
      assert.equal(await judge(whole.subarray(0, end)), 'damaged', `${end}`);
    for (const more of ['something', '\0'.repeat(100)])
      assert.equal(await judge(Buffer.concat([whole, Buffer.from(more)])), 'damaged');
    // Some bits mean nothing, or say the same in another way: what is not found must have changed nothing.
    const plain = gunzipSync(whole);
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      if ((await judge(bytes)) !== 'damaged') assert.ok(gunzipSync(bytes).equals(plain), `byte ${at}`);
    }
    // A tar that ends early within a sound gzip file.
    assert.equal(await judge(gzipSync(gunzipSync(whole).subarray(0, 2048))), 'damaged');
  });

  it('names the member where it ends', async (t) => {
    const { file } = oldArchive(t);
    const plain = readFileSync(file);
    writeFileSync(file, gzipSync(plain.subarray(0, plain.length - 12_000)));
    const verdict = await verifyOld(file);
    assert.ok(verdict.kind === 'damaged' && verdict.member, JSON.stringify(verdict));
  });
});
