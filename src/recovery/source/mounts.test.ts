import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import type { Tree } from '../target.ts';
import { mountsAt, sortMounts } from './mounts.ts';

const mountinfo = [
  '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
  '30 22 8:2 / /srv/dev rw - ext4 /dev/sdb1 rw',
  '31 30 8:3 / /srv/dev/n8n/data rw - ext4 /dev/sdc1 rw',
  '32 30 0:5 / /srv/dev/with\\040space\\134 rw - tmpfs tmpfs rw',
  '33 30 0:5 / /srv/dev/with\\040space\\134 rw - tmpfs tmpfs rw',
  '34 22 0:6 / /srv/development rw - tmpfs tmpfs rw',
  '',
].join('\n');

const tree = (mounts: Tree['mounts'], exclude: string[] = []): Tree => ({
  name: 'dev',
  root: '/srv/dev',
  exclude,
  mounts,
});

describe('mounts below a tree', () => {
  it('are found, those of a folder with a longer name are not', () => {
    assert.deepEqual(mountsAt('/srv/dev', mountinfo).inside, ['n8n/data', 'with space\\']);
    assert.deepEqual(mountsAt('/srv/dev/n8n/data', mountinfo).inside, []);
  });

  it('must each be named, else the backup does not begin', () => {
    const mounts = mountsAt('/srv/dev', mountinfo).inside;
    assert.throws(
      () => sortMounts(tree({ include: ['n8n/data'], exclude: [] }), mounts),
      (error) =>
        error instanceof Fault &&
        error.code === 'usage' &&
        /with space/.test(error.message) &&
        !/n8n/.test(error.message),
    );
    assert.deepEqual(sortMounts(tree({ include: ['n8n/data'], exclude: ['with space\\'] }), mounts), {
      included: ['n8n/data'],
      excluded: ['with space\\'],
    });
    assert.deepEqual(sortMounts(tree({ include: [], exclude: [] }, ['n8n', 'with*']), mounts).included, []);
  });
});
