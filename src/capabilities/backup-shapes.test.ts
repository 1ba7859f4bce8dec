import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backupName, target } from './backup-shapes.ts';

describe('what GAIA is told by name', () => {
  it('is the name of a target, and no option of its command line', () => {
    for (const name of ['dev', 'prod', 'control-plane', '2', 'a1-b'])
      assert.equal(target.safeParse(name).success, true, name);
    for (const name of ['', '-', '--yes', '--config=/tmp/x', 'a b', 'DEV', '../dev', 'a/b', 'dev\n', 'ä', 'a\0'])
      assert.equal(target.safeParse(name).success, false, name);
  });

  it('is the name of a backup, and neither a path nor an option', () => {
    const names = ['latest', 'dev-2026', 'dev-2026-01-16-103000.tar.zst', 'dev-2026-01-16-103000-2.tar.zst.age'];
    for (const name of [...names, 'an old one.tar.gz']) assert.equal(backupName.safeParse(name).success, true, name);
    for (const name of ['', '/etc/shadow', './x', '../../x', 'hourly/x', '-', '--identity=/srv/key', 'a\0', 'a\nb'])
      assert.equal(backupName.safeParse(name).success, false, name);
  });
});
