import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openAuditKey, publicKeyIn } from './audit-key.ts';

function aHome(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'leveredge-key-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const folder = join(home, 'shared/credentials');
  return { home, folder, key: join(folder, 'event-bus-audit.key'), pub: join(folder, 'event-bus-audit.pub') };
}

describe('the key that signs checkpoints', () => {
  it('is made once, for the owner alone, with the public one beside it', (t) => {
    const { home, key, pub } = aHome(t);
    assert.equal(publicKeyIn(home), undefined);
    const made = openAuditKey(home);
    assert.match(made.keyId, /^[0-9a-f]{16}$/);
    assert.equal(statSync(key).mode & 0o777, 0o600);
    assert.ok(existsSync(pub));
    assert.equal(openAuditKey(home).keyId, made.keyId);
    assert.equal(publicKeyIn(home)?.keyId, made.keyId);
  });

  it('brings its public key back, and keeps that of a lost one under its id', (t) => {
    const { home, folder, key, pub } = aHome(t);
    const first = openAuditKey(home);
    rmSync(pub);
    openAuditKey(home);
    assert.equal(publicKeyIn(home)?.keyId, first.keyId);
    rmSync(key);
    const second = openAuditKey(home);
    assert.notEqual(second.keyId, first.keyId);
    const names = ['event-bus-audit.key', 'event-bus-audit.pub', `event-bus-audit-${first.keyId}.pub`];
    assert.deepEqual(readdirSync(folder).toSorted(), names.toSorted());
  });

  it('is not replaced while something lies in its place that cannot be used', (t) => {
    const { home, key } = aHome(t);
    mkdirSync(dirname(key), { recursive: true });
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const content of ['', 'garbage', rsa]) {
      writeFileSync(key, content);
      assert.throws(() => openAuditKey(home), { code: 'unavailable', message: /event-bus-audit\.key/ });
    }
    rmSync(key);
    mkdirSync(key);
    assert.throws(() => openAuditKey(home), { code: 'unavailable' });
  });
});
