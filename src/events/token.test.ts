import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashOfSecret, isSecret, newSecret, newTokenSchema } from './token.ts';

describe('the secret of a token', () => {
  it('is lev_ and 40 letters or digits, each as likely as any other', () => {
    const secrets = Array.from({ length: 2000 }, newSecret);
    assert.equal(new Set(secrets).size, secrets.length);
    const counts = new Map<string, number>();
    for (const secret of secrets) {
      assert.match(secret, /^lev_[0-9A-Za-z]{40}$/);
      assert.ok(isSecret(secret));
      for (const letter of secret.slice(4)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    assert.equal(counts.size, 62);
    // 80,000 letters: 1,290 of each, and a deviation of 36.
    for (const [letter, count] of counts) assert.ok(count > 1290 - 216 && count < 1290 + 216, `${letter} ${count}`);
  });

  it('is nothing else', () => {
    const secret = newSecret();
    for (const none of ['', 'lev_', secret.slice(1), `${secret}x`, secret.slice(0, -1), `${secret}\n`, ` ${secret}`])
      assert.ok(!isSecret(none), none);
  });

  it('is kept as its SHA-256', () => {
    assert.equal(hashOfSecret('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});

describe('a new token', () => {
  const wanted = { name: 'ADA', kind: 'agent', scopes: ['read'], per_minute: null, expires_in_ms: null };
  it('has scopes as they are stored, each once', () => {
    const { scopes } = newTokenSchema.parse({ ...wanted, scopes: ['publish', 'publish:*', 'ack', 'read'] });
    assert.deepEqual(scopes, ['publish:*', 'ack:self', 'read']);
  });

  it('is refused where it makes no sense', () => {
    for (const wrong of [
      { scopes: [] },
      { scopes: ['all'] },
      { scopes: ['approve'] },
      { name: '' },
      { name: 'EVENT-BUS' },
      { kind: 'robot' },
      { per_minute: 0 },
      { expires_in_ms: 0 },
    ])
      assert.ok(!newTokenSchema.safeParse({ ...wanted, ...wrong }).success, JSON.stringify(wrong));
    assert.ok(newTokenSchema.safeParse({ ...wanted, kind: 'person', scopes: ['approve'] }).success);
  });
});
