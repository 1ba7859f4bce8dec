import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { checkSignature, fingerprintOf, knownKey, loadSigner } from './sign.ts';

function place(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'sign-'));
  t.after(() => rmSync(home, { recursive: true }));
  return { home, signingKey: join(home, 'new/key'), publicKey: join(home, 'key.pub') };
}

const bytes = Buffer.from('a manifest');

describe('the key that signs backups', () => {
  it('is made once, for its owner alone, and found again', (t) => {
    const where = place(t);
    assert.equal(knownKey(where.publicKey), undefined);
    const first = loadSigner(where);
    const again = loadSigner(where);
    assert.equal(first.publicKey, again.publicKey);
    assert.equal(statSync(where.signingKey).mode & 0o777, 0o600);
    const known = knownKey(where.publicKey);
    const claimed = first.publicKey;
    const judged = checkSignature(bytes, again.sign(bytes), claimed, known);
    assert.deepEqual(judged, { kind: 'known', fingerprint: fingerprintOf(first.publicKey) });
  });

  it('makes signatures that openssl can check', (t) => {
    const where = place(t);
    writeFileSync(join(where.home, 'm'), bytes);
    writeFileSync(join(where.home, 's'), loadSigner(where).sign(bytes));
    const args = ['pkeyutl', '-verify', '-rawin', '-pubin', '-inkey', where.publicKey, '-in', 'm', '-sigfile', 's'];
    assert.match(execFileSync('openssl', args, { cwd: where.home, encoding: 'utf8' }), /Verified Successfully/);
  });

  it('is told apart from an unknown signer and from another', (t) => {
    const [one, other] = [place(t), place(t)];
    const signer = loadSigner(one);
    loadSigner(other);
    const claimed = signer.publicKey;
    const signature = signer.sign(bytes);
    assert.equal(checkSignature(bytes, signature, claimed, undefined).kind, 'unknown-signer');
    assert.equal(checkSignature(bytes, signature, claimed, knownKey(other.publicKey)).kind, 'bad');
    assert.equal(checkSignature(Buffer.from('another'), signature, claimed, knownKey(one.publicKey)).kind, 'bad');
    assert.equal(checkSignature(bytes, signature.subarray(1), claimed, knownKey(one.publicKey)).kind, 'bad');
    assert.equal(checkSignature(bytes, signature, 'AA==', undefined).kind, 'bad');
  });

  it('is refused when others may read it, when its halves do not fit, when one is gone or is something else', (t) => {
    const [where, other] = [place(t), place(t)];
    loadSigner(where);
    loadSigner(other);
    const fails = (code: string) =>
      assert.throws(
        () => loadSigner(where),
        (error) => error instanceof Fault && error.code === code,
      );
    chmodSync(where.signingKey, 0o644);
    fails('forbidden');
    chmodSync(where.signingKey, 0o600);
    copyFileSync(other.publicKey, where.publicKey);
    fails('conflict');
    writeFileSync(where.publicKey, 'no key');
    fails('usage');
    copyFileSync(other.signingKey, where.publicKey);
    fails('conflict');
    rmSync(where.signingKey);
    fails('conflict');
  });
});
