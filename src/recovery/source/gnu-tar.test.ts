import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { judgeTar } from './gnu-tar.ts';

const said = (...lines: string[]) => lines.map((line) => `tar: ${line}\n`).join('');
const failing = 'Exiting with failure status due to previous errors';

describe('what tar says', () => {
  it('is nothing when all went well', () => {
    assert.deepEqual(judgeTar(0, null, ''), { changed: [], unreadable: [] });
  });

  it('names what changed, shrank or went away while it was read', () => {
    const words = said(
      './log: file changed as we read it',
      './a: b: File shrank by 10 bytes; padding with zeros',
      './gone: File removed before we read it',
      './also: Cannot stat: No such file or directory',
      failing,
    );
    assert.deepEqual(judgeTar(2, null, words).changed, [
      'log: file changed as we read it',
      'a: b: File shrank by 10 bytes; padding with zeros',
      'gone: File removed before we read it',
      'also: Cannot stat: No such file or directory',
    ]);
    assert.deepEqual(judgeTar(1, null, said('./log: file changed as we read it')).changed, [
      'log: file changed as we read it',
    ]);
  });

  it('names what could not be read', () => {
    const words = said('./secret: Cannot open: Permission denied', failing);
    assert.deepEqual(judgeTar(2, null, words).unreadable, ['secret: Cannot open: Permission denied']);
  });

  it('is a failure when it is not understood, when tar says nothing, and when it was killed', () => {
    const failures: [number | null, string][] = [
      [2, said('-: Cannot write: No space left on device', failing)],
      [2, said('./log: file changed as we read it', 'memory exhausted')],
      [1, ''],
      [2, ''],
      [null, ''],
      [null, said('./log: file changed as we read it')],
    ];
    for (const [code, words] of failures)
      assert.throws(
        () => judgeTar(code, null, words),
        (error) => error instanceof Fault,
        words,
      );
  });

  it('makes a backup degraded when it is a warning that nobody knows', () => {
    assert.match(judgeTar(0, null, said('something new')).unreadable.join(), /something new/);
  });
});
