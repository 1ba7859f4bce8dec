import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import type { Json, JsonObject } from '../../base/json.ts';
import { layOut, tabSeparated } from '../../base/table.ts';
import type { Capability } from '../../events/capability.ts';
import { showResult } from './result-table.ts';

const now = Date.parse('2026-11-29T12:00:00.000Z');
const capability = (columns?: readonly string[]): Capability => ({
  ...{ name: 'tea.list', summary: 'List', risk: 'read', example: {} },
  ...{ input: z.strictObject({}), output: z.object({}), ...(columns && { columns }) },
});
const on = (is: boolean) => ({ terminal: { is, columns: 80 }, clock: () => now });
const terminal = (result: JsonObject, columns?: readonly string[]) => showResult(on(true), capability(columns), result);
const piped = (result: JsonObject, columns?: readonly string[]) => {
  const { table, lines } = showResult(on(false), capability(columns), result);
  assert.equal(lines, undefined);
  return table === undefined ? [] : tabSeparated(table);
};
const at = '2026-11-29T03:15:00.000Z';

describe('a result on the command line', () => {
  it('has a line for each member, as a person reads it and as it is', () => {
    const result = {
      name: 'b',
      created_at: at,
      bytes: 2048,
      also_made: ['x', 'y'],
      is_whole: true,
      reason: null,
      of: {},
    };
    assert.deepEqual(terminal(result).lines, [
      'name:       b',
      'created at: 03:15:00',
      'bytes:      2.0 KiB',
      'also made:  x, y',
      'is whole:   true',
      'reason:     –',
      'of:         {}',
    ]);
    assert.deepEqual(piped(result), [
      'name\tb',
      `created_at\t${at}`,
      'bytes\t2048',
      'also_made\tx, y',
      'is_whole\ttrue',
      'reason\t',
      'of\t{}',
    ]);
  });

  it('has its list as rows of the columns that the capability names, below the rest', () => {
    const list = [
      { id: 'id-1', name: 'a', options: ['yes', 'no'], left: 1 },
      { id: 'id-2', name: 'b', options: [], left: null },
    ];
    const result = { status: 'well', list };
    const { lines, table } = terminal(result, ['name', 'options', 'left']);
    assert.deepEqual(lines, ['status: well']);
    assert.deepEqual(table && layOut(table, 80), {
      head: ['NAME  OPTIONS   LEFT'],
      rows: ['a     yes | no  1', 'b               –'],
    });
    assert.deepEqual(piped(result, ['name', 'left']), ['status\twell', 'a\t1', 'b\t']);
    assert.deepEqual(piped({ list }), ['id-1\ta\tyes | no\t1', 'id-2\tb\t\t']);
  });

  it('leaves out what is empty', () => {
    for (const list of [[], ['x']] as Json[][]) {
      const { lines, table } = terminal({ list });
      assert.deepEqual([lines, table], [list.length === 0 ? [] : ['list: x'], undefined]);
    }
    assert.deepEqual(piped({ list: [] }), []);
    assert.deepEqual(terminal({}), { lines: [] });
  });

  it('shows ids short on a terminal and whole in a pipe', () => {
    const list = ['01a204e2-9e86-7000-aae8-730529ce6554', '01b204e2-9e86-7000-aae8-730529ce6554'].map((id) => ({ id }));
    const cells = terminal({ list }).table?.rows.map(([cell]) => cell) ?? [];
    for (const [n, cell] of cells.entries()) {
      assert.ok(list[n]?.id.startsWith(cell as string) && (cell as string).length < 36, String(cell));
    }
    assert.deepEqual(
      piped({ list }),
      list.map(({ id }) => id),
    );
  });

  it('sets what follows from another below it by a step each, and leaves room for what it is', () => {
    const list = [0, 1, 2, 90].map((depth) => ({ action: 'a', depth }));
    const rows = terminal({ list }, ['action']).table?.rows ?? [];
    assert.deepEqual(rows, [['a'], ['  a'], ['    a'], [`${'  '.repeat(6)}a`]]);
    assert.deepEqual(piped({ list }, ['action']), ['a', 'a', 'a', 'a']);
  });

  it('has the first line of a text in a table', () => {
    const list = [{ question: 'Shall we?\nSo says its agent.' }];
    assert.deepEqual(terminal({ list }).table?.rows, [['Shall we?']]);
  });
});
