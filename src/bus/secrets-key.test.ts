import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openSecretsKey } from './secrets-key.ts';

function homeOf(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'leveredge-key-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  return { home, file: join(home, 'shared/credentials/event-bus-secrets.key') };
}

describe('the key that seals the secrets of calls', () => {
  it('is made once in a home, for its owner alone, and is two keys that differ', (t) => {
    const { home, file } = homeOf(t);
    const made = openSecretsKey(home);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(openSecretsKey(home), made);
    assert.notDeepEqual(made.seal, made.bind);
    assert.notDeepEqual(openSecretsKey(homeOf(t).home), made);
    const text = readFileSync(file, 'utf8');
    for (const each of [made.seal, made.bind]) assert.ok(!text.includes(each.toString('base64')));
  });

  it('is made also where a start was killed while it made one', (t) => {
    const { home, file } = homeOf(t);
    openSecretsKey(home);
    rmSync(file);
    writeFileSync(`${file}.new`, 'half a k');
    assert.equal(openSecretsKey(home).seal.length, 32);
  });

  it('is refused, and no other is made, when others can read it or it is none', (t) => {
    const { home, file } = homeOf(t);
    openSecretsKey(home);
    const text = readFileSync(file, 'utf8');
    chmodSync(file, 0o644);
    assert.throws(() => openSecretsKey(home), { code: 'unavailable', message: /event-bus-secrets\.key\.$/ });
    chmodSync(file, 0o600);
    for (const odd of ['', 'x', text.slice(9)]) {
      writeFileSync(file, odd);
      assert.throws(
        () => openSecretsKey(home),
        (fault: Error) => !fault.message.includes(text.slice(9, 20)),
      );
      assert.equal(readFileSync(file, 'utf8'), odd);
    }
  });
});
