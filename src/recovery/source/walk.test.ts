import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { it } from 'node:test';
import { walkTree } from './walk.ts';

it('finds databases by what is in them, whatever they are called', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'walk-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const name of ['plain', 'store.dat', 'usual.db']) {
    const database = new DatabaseSync(join(root, name));
    database.exec('CREATE TABLE t (a)');
    database.close();
  }
  writeFileSync(join(root, 'no.db'), 'x'.repeat(4096));
  writeFileSync(join(root, 'speaks-of-it'), 'SQLite format 3\0');
  const { databases } = walkTree(root, { leftOut: () => false, notEntered: new Set() });
  assert.deepEqual([...databases].sort(), ['plain', 'store.dat', 'usual.db']);
});
