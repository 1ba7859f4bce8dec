import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { quickCheck } from './quick-check.ts';

describe("SQLite's check", () => {
  it('says what it found on one line, and nothing when all is well', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'quick-check-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'a.db');
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE t (x); CREATE INDEX i ON t (x)');
    for (let n = 0; n < 2000; n++) db.prepare('INSERT INTO t VALUES (?)').run(`row ${n}`);
    assert.equal(quickCheck(db), undefined);
    db.close();
    const bytes = readFileSync(file);
    bytes.fill(0, 4096 * 4 + 3, 4096 * 4 + 5); // The number of cells of a page.
    writeFileSync(file, bytes);
    const damaged = new DatabaseSync(file, { readOnly: true });
    t.after(() => damaged.close());
    const found = quickCheck(damaged) ?? '';
    assert.match(found, /\w/);
    assert.doesNotMatch(found, /\n|\*\*\*/);
  });
});
