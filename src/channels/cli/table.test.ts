import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { displayWidth } from './display-width.ts';
import { layOut, type Table, tabSeparated } from './table.ts';

const columns = [{ head: 'ID' }, { head: 'NAME', least: 6 }, { head: 'WHAT', least: 10 }];

describe('a table', () => {
  it('is as narrow as its content', () => {
    assert.deepEqual(layOut({ columns, rows: [['1', 'AEGIS', 'x']] }, 80), ['ID  NAME   WHAT', '1   AEGIS  x']);
  });

  it('cuts the widest column first and never the id', () => {
    const rows = [['0193e8c2-7b1f', 'A'.repeat(20), 'w'.repeat(60)]];
    const lines = layOut({ columns, rows }, 60);
    assert.equal(displayWidth(lines[1] as string), 60);
    assert.match(lines[1] as string, /^0193e8c2-7b1f {2}A{20} {2}w{22}…$/);
  });

  it('counts wide characters as two columns', () => {
    const lines = layOut({ columns, rows: [['1', '日本語の名前です', 'x']] }, 24);
    for (const line of lines) assert.ok(displayWidth(line) <= 24, line);
  });

  it('fits the terminal whatever the cells hold, unless the columns cannot be cut so far', () => {
    const cell = fc.string({ unit: 'grapheme', maxLength: 120 }).map((text) => text.replace(/\p{Cc}/gu, ''));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell), { maxLength: 5 }),
        fc.integer({ min: 30, max: 120 }),
        (pairs, width) => {
          const table: Table = { columns, rows: pairs.map(([a, b]) => ['1', a, b]) };
          for (const line of layOut(table, width)) assert.ok(displayWidth(line) <= width);
        },
      ),
    );
  });

  it('is tab-separated and whole in a pipe', () => {
    assert.deepEqual(tabSeparated({ columns, rows: [['1', 'A', 'w'.repeat(200)]] }), [`1\tA\t${'w'.repeat(200)}`]);
  });
});
