import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { busAddress } from './bus-settings.ts';

function homeWith(t: TestContext, yaml: string): string {
  const home = mkdtempSync(join(tmpdir(), 'leveredge-settings-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, 'config'));
  writeFileSync(join(home, 'config/leveredge.yaml'), yaml);
  return home;
}

describe('the address of the bus, for those who call it', () => {
  it('comes from the settings', (t) => {
    const { host, port } = busAddress({}, homeWith(t, 'bus: { port: 17, host: "::1" }'), {});
    assert.deepEqual([host, port], ['::1', 17]);
  });

  it('comes from elsewhere when the settings have a mistake', (t) => {
    for (const yaml of ['bus: { port: 17, hst: x }', 'bus: [', '- a']) {
      const home = homeWith(t, yaml);
      assert.equal(busAddress({}, home, {}).port, 8099);
      assert.equal(busAddress({}, home, { LEVEREDGE_PORT: '18' }).port, 18);
    }
    const file = join(homeWith(t, ''), 'config/leveredge.yaml');
    assert.equal(busAddress({}, file, {}).port, 8099, 'a home that is a file');
  });

  it('is not guessed when the environment has a mistake, which alone is named', (t) => {
    const home = homeWith(t, 'bus: { port: many }');
    assert.throws(() => busAddress({}, home, { LEVEREDGE_PORT: 'abc' }), {
      code: 'usage',
      message: /have a mistake\. LEVEREDGE_PORT: "abc" is no port[^\n]*$/,
    });
  });
});
