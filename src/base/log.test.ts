import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeLog, printable } from './log.ts';

describe('what is printed', () => {
  it('shows what would act on a terminal instead of letting it act', () => {
    assert.equal(
      printable('a\u001b[31mb\r\nc\u202ed\u200ee\u0085'),
      'a\\u001b[31mb\\u000d\\u000ac\\u202ed\\u200ee\\u0085',
    );
    assert.equal(printable('Ünïcode 日本 👩‍💻'), 'Ünïcode 日本 👩‍💻');
  });

  it('lets no value forge a second log line', () => {
    const lines: string[] = [];
    makeLog(
      (line) => lines.push(line),
      () => 0,
    ).warn('from a\nclient', { name: 'x\n2026 info all is well' });
    assert.deepEqual(lines, ['1970-01-01T00:00:00.000Z warn from a\\u000aclient name="x\\n2026 info all is well"\n']);
  });

  it('lets no value act on the terminal that shows the log', () => {
    const lines: string[] = [];
    const log = makeLog(
      (line) => lines.push(line),
      () => 0,
    );
    log.error('x', { name: 'a\u009b31mb\u202ec\u007f', missing: undefined });
    assert.match(lines[0] as string, / name="a\\u009b31mb\\u202ec\\u007f" missing=undefined\n$/);
  });
});
