import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { displayWidth } from './display-width.ts';
import { type Column, layOut as layOutParts, type Table, tabSeparated } from './table.ts';

const columns = [{ head: 'ID' }, { head: 'NAME', least: 6 }, { head: 'WHAT', least: 10 }];

const layOut = (table: Table, width: number) => {
  const { head, rows } = layOutParts(table, width);
  return [...head, ...rows];
};

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

  it('puts the columns that do not fit below the others', () => {
    const events = ['UTC', 'ID'].map((head): Column => ({ head }));
    const cuttable = ['SOURCE', 'ACTION', 'TARGET'].map((head): Column => ({ head, least: 8 }));
    const rows = [
      ['11:02:33', '0193e8c2-7b1f', 'HEPHAESTUS', 'deploy_started', 'dev'],
      ['11:02:34', '0193e8c2-7b20', 'A', '', ''],
    ];
    assert.deepEqual(layOut({ columns: [...events, ...cuttable], rows }, 36), [
      'UTC       ID             SOURCE',
      '  ACTION          TARGET',
      '11:02:33  0193e8c2-7b1f  HEPHAESTUS',
      '  deploy_started  dev',
      '11:02:34  0193e8c2-7b20  A',
    ]);
  });

  it('leaves out columns without a word where there is no room for all', () => {
    const empty = [...columns, { head: 'EXCEPT' }];
    assert.deepEqual(layOut({ columns: empty, rows: [['1'.repeat(10), 'AEGIS', 'x', '']] }, 22), [
      'ID          NAME',
      '  WHAT',
      '1111111111  AEGIS',
      '  x',
    ]);
    assert.match(layOut({ columns: empty, rows: [['1', 'A', 'x', '']] }, 80)[0] as string, /EXCEPT$/);
  });

  it('breaks what is never cut when it is wider than the terminal', () => {
    assert.deepEqual(layOut({ columns, rows: [['x'.repeat(25), 'A', 'w']] }, 20), [
      'ID',
      '  NAME  WHAT',
      'x'.repeat(20),
      'x'.repeat(5),
      '  A     w',
    ]);
  });

  it('fits every terminal of 20 columns and more, whatever the cells hold', () => {
    const text = (maxLength: number) =>
      fc.string({ unit: 'grapheme', maxLength }).map((any) => any.replace(/\p{Cc}/gu, ''));
    const column = fc.record({ head: text(12), least: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }) });
    const table = fc.array(column, { minLength: 1, maxLength: 8 }).chain((all) =>
      fc.record({
        columns: fc.constant(all as Column[]),
        rows: fc.array(fc.tuple(...all.map(() => text(60))), { maxLength: 4 }),
      }),
    );
    fc.assert(
      fc.property(table, fc.integer({ min: 20, max: 120 }), (any: Table, width) => {
        for (const line of layOut(any, width)) assert.ok(displayWidth(line) <= width, line);
      }),
    );
  });

  it('is tab-separated and whole in a pipe', () => {
    assert.deepEqual(tabSeparated({ columns, rows: [['1', 'A', 'w'.repeat(200)]] }), [`1\tA\t${'w'.repeat(200)}`]);
  });
});
