import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { stemOf } from '../backup/backup-name.ts';
import { parseBackupName } from './backup-name.ts';

describe('The name of a backup', () => {
  it('says to the second when it was made', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), fc.integer({ min: 1, max: 9 }), (second, n) => {
        const name = `${stemOf('dev', second * 1000)}${n === 1 ? '' : `-${n}`}.tar.zst`;
        assert.deepEqual(parseBackupName(name), { format: 'own', atMs: second * 1000 });
      }),
    );
  });

  const at = Date.parse('2026-01-16T10:30:00Z');
  const midnight = Date.parse('2026-01-16T00:00:00Z');
  const cases: [string, number | undefined][] = [
    ['dev_20260116_103000.tar.gz', at],
    ['dev-2026-01-16_10-30-00.tar.gz', at],
    ['backup-20260116103000.tgz', at],
    ['dev-2026-01-16T10:30:00.tar.gz', at],
    ['prod-20260116.tar.gz', midnight],
    ['before-upgrade.tar.gz', undefined],
    ['dev-99999999.tar.gz', undefined],
    ['dev-20260132_990000.tar.gz', undefined],
  ];
  for (const [name, atMs] of cases)
    it(`reads ${name} of an older tool`, () => assert.deepEqual(parseBackupName(name), { format: 'old', atMs }));

  it('takes nothing else for a backup', () => {
    for (const name of ['.dev.tar.zst', 'a.tar.zst.partial', 'a.manifest.json', 'a.tar.gz.pinned', 'a.zip'])
      assert.equal(parseBackupName(name), undefined, name);
  });
});
