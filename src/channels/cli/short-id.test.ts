import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { shortIds } from './short-id.ts';

describe('short ids', () => {
  it('are as long as it takes to tell them apart, and at least the milliseconds of a UUIDv7', () => {
    const ids = ['0193e8c2-7b1f-7000-8abc', '0193e8c2-7b1f-7001-8abc', '0193e8c2-9999-7000-8abc', 'mine'];
    assert.deepEqual(
      ids.map((id) => shortIds(ids).get(id)),
      ['0193e8c2-7b1f-7000', '0193e8c2-7b1f-7001', '0193e8c2-9999', 'mine'],
    );
  });
});
