import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { n8nKeysIn, otherKeysHere } from './n8n-key.ts';

function treeWith(t: TestContext, files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), 'n8n-key-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return { name: 'prod', root };
}

const config = (key: string) => `{\n\t"encryptionKey": ${JSON.stringify(key)}\n}`;

describe("n8n's encryption key", () => {
  it('has a fingerprint that is the same for the same key wherever it lies, and does not hold it', (t) => {
    const keys = n8nKeysIn([
      treeWith(t, { 'n8n/data/config': config('one of n8n'), '.env': 'A=b\nN8N_ENCRYPTION_KEY="one of n8n"\n' }),
      treeWith(t, { '.n8n/config': config('another') }),
    ]);
    assert.deepEqual(
      keys.map(({ at }) => at),
      ['prod/n8n/data/config', 'prod/.env', 'prod/.n8n/config'],
    );
    const [first, second, third] = keys.map(({ fingerprint }) => fingerprint);
    assert.equal(first, second);
    assert.notEqual(first, third);
    assert.match(first as string, /^[0-9a-f]{16}$/);
  });

  const none: [string, Record<string, string>][] = [
    ['another program’s', { config: 'encryptionKey = 1', 'n8n/config': '[1]', 'data/config': '{"encryptionKey":""}' }],
    ['a folder', { 'config/file': '' }],
    ['too large', { config: config('x'.repeat(70_000)) }],
  ];
  for (const [what, files] of none)
    it(`is not seen in a config that is ${what}`, (t) => assert.deepEqual(n8nKeysIn([treeWith(t, files)]), []));

  it('of a backup is compared with the one that is here', (t) => {
    const wanted = n8nKeysIn([treeWith(t, { 'n8n/data/config': config('first') })]);
    assert.deepEqual(otherKeysHere(wanted, [treeWith(t, { 'n8n/data/config': config('first') })]), []);
    const other = otherKeysHere(wanted, [treeWith(t, { 'n8n/data/config': config('second') })]);
    assert.match(other.join(), /prod\/n8n\/data\/config is another one here/);
    assert.match(otherKeysHere(wanted, [treeWith(t, {})]).join(), /is not here/);
    assert.deepEqual(otherKeysHere([], [treeWith(t, {})]), []);
  });
});
