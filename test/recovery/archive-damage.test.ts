import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missedCuts, missedFlips } from '../../src/recovery/archive/small-archive.fixtures.ts';

describe('a small archive that is damaged', () => {
  it('is found out by every single bit of archive, manifest and signature', async (t) => {
    assert.deepEqual(await missedFlips(t, 1), []);
  });

  it('is found out wherever any of the three files is cut', async (t) => {
    assert.deepEqual(await missedCuts(t, 1), []);
  });
});
