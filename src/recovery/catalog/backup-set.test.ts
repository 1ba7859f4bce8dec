import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fault } from '../../base/fault.ts';
import { findSet, setsOf } from './backup-set.ts';
import type { Backup } from './catalog.ts';

const targets = ['prod', 'dev'];
const backup = (target: string, set: string | null, atMs: number, kind = 'sound') =>
  ({ target, atMs, kind, manifest: { set } }) as Backup;
const all = [
  backup('dev', 'c', 30, 'degraded'),
  backup('prod', 'c', 29),
  backup('dev', 'b', 20),
  backup('prod', 'b', 19),
  backup('dev', null, 10),
];

describe('A set of backups', () => {
  it('is what was made together, and says what it has no sound backup of', () =>
    assert.deepEqual(
      setsOf(all, targets).map(({ id, backups, missing }) => [id, backups.length, missing]),
      [
        ['c', 2, ['dev']],
        ['b', 2, []],
      ],
    ));

  it('is the latest when it is the newest that is whole', () => {
    assert.equal(findSet(all, targets, 'latest').id, 'b');
    assert.equal(findSet(all, targets, 'c').id, 'c');
  });

  it('names the newest where none is whole, or none is called so', () => {
    for (const wanted of ['latest', 'x'])
      assert.throws(
        () => findSet(all.slice(0, 2), targets, wanted),
        (error: Fault) => error.code === 'not-found' && /newest is c, without dev/.test(error.hint ?? ''),
      );
  });
});
