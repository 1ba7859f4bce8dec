import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { backupWords, outcomeOf } from './gaia-backup.ts';

const result = (name: string, state = 'sound', degraded: string[] = []) => ({
  ...{ name, target: 'dev', path: `/b/${name}`, state, bytes: 10, sha256: '00', files: 3, content_bytes: 99 },
  ...{ databases: ['events'], degraded, notes: [], set: null, seconds: 0.5 },
});
const made = (...results: object[]) => `${JSON.stringify({ ...results[0], results })}\n`;
const error = (code: string) =>
  `{"kind":"note","message":"x"}\n${JSON.stringify({ error: { code, message: 'Why.' } })}\n`;

describe('a backup by GAIA', () => {
  it('is asked for with its cause, so that it is made once', () => {
    const words = backupWords('dev', 'e1').join(' ');
    assert.equal(words, 'backup dev --reason pre-change --cause e1 --json --quiet');
  });

  it('is made when it exits with 0, and made but not whole with 9', () => {
    const sound = outcomeOf({ exit: 0, stdout: made(result('dev-1')), stderr: '' });
    const details = { backup: 'dev-1', state: 'sound', why_made: 'pre-change', exit: 0, not_whole: 0, seconds: 0.5 };
    assert.deepEqual(sound, { kind: 'made', details: { ...details, bytes: 10, content_bytes: 99, files: 3 } });
    const partial = outcomeOf({ exit: 9, stdout: made(result('dev-1', 'degraded', ['x', 'y'])), stderr: '' });
    assert.ok(partial.kind === 'made');
    assert.deepEqual([partial.details.state, partial.details.exit, partial.details.not_whole], ['degraded', 9, 2]);
    const two = outcomeOf({ exit: 0, stdout: made(result('a.tar.zst'), result('a.restic')), stderr: '' });
    assert.ok(two.kind === 'made');
    assert.deepEqual([two.details.backup, two.details.also_made], ['a.restic', ['a.tar.zst']]);
  });

  it('waits for others, begins again when it was ended, and fails for good or for now', () => {
    const fails = (exit: number | null, stderr: string) => outcomeOf({ exit, stdout: '', stderr });
    assert.deepEqual(fails(6, error('locked')), { kind: 'locked', says: 'Why.' });
    assert.deepEqual(fails(130, ''), { kind: 'ended' });
    assert.deepEqual(fails(null, ''), { kind: 'ended' });
    for (const [exit, code, mayPass] of [
      ...[[2, 'usage', false] as const, [5, 'not-found', false] as const, [6, 'conflict', false] as const],
      ...[[1, 'storage-full', true] as const, [4, 'unavailable', true] as const, [1, 'internal', true] as const],
    ])
      assert.deepEqual(fails(exit, error(code)), { kind: 'failed', mayPass, details: { exit, code, says: 'Why.' } });
  });

  it('says so when nothing was said', () => {
    for (const stderr of ['', 'Segmentation fault\n', '{"error":7}\n']) {
      const outcome = outcomeOf({ exit: 1, stdout: '', stderr });
      assert.ok(outcome.kind === 'failed' && outcome.mayPass);
      assert.match(outcome.details.says, /did not say why/);
    }
    assert.equal(outcomeOf({ exit: 0, stdout: 'nonsense', stderr: '' }).kind, 'failed');
  });
});
