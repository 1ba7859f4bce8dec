import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { displayWidth } from './display-width.ts';
import { remarkLines } from './remark.ts';

describe('a remark', () => {
  it('is wrapped at words on a terminal, the following lines deeper', () => {
    assert.deepEqual(
      remarkLines('No bus can be reached at http://127.0.0.1:8099 (connection refused). Trying again in 1 s.', 40),
      ['No bus can be reached at', '  http://127.0.0.1:8099 (connection', '  refused). Trying again in 1 s.'],
    );
    assert.deepEqual(remarkLines('  Check who owns the file and its folder.', 30), [
      '  Check who owns the file',
      '    and its folder.',
    ]);
  });

  it('keeps a command to type on one line, for copying', () => {
    const typed = 'leveredge answer 0193e8c2-7b1f-7000-8abc-000000000000 RESPONSE';
    assert.deepEqual(remarkLines(`  Answer it: ${typed}`, 40), ['  Answer it:', `    ${typed}`]);
    assert.deepEqual(remarkLines('  See: npx leveredge events. Events beyond the newest need more.', 40), [
      '  See: npx leveredge events. Events',
      '    beyond the newest need more.',
    ]);
  });

  it('stays on one line without a terminal, and is harmless everywhere', () => {
    const text = `a\n\u001b[2J\u009b${'word '.repeat(50)}`;
    assert.equal(remarkLines(text, undefined).length, 1);
    for (const columns of [undefined, 40, 5]) assert.doesNotMatch(remarkLines(text, columns).join(''), /\p{Cc}/u);
  });

  it('is as wide as its longest word at most, and loses no word', () => {
    const word = fc.string({ unit: fc.constantFrom('a', '日', '-', '.'), minLength: 1, maxLength: 14 });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.integer({ min: 30, max: 100 }), (words, columns) => {
        const lines = remarkLines(words.join(' '), columns);
        for (const line of lines) assert.ok(displayWidth(line) <= Math.max(columns, 30), line);
        assert.deepEqual(lines.join(' ').split(/ +/), words);
      }),
    );
  });
});
