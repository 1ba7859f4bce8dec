import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { uuidV7Maker } from './uuid-v7.ts';

describe('UUIDs of version 7', () => {
  it('have the form of RFC 9562 with the time in front', () => {
    const id = uuidV7Maker(() => 0x017f22e279b0)();
    assert.match(id, /^017f22e2-79b0-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('sort in the order they were made, also in one millisecond and when the clock steps back', () => {
    let now = 1_800_000_000_000;
    const make = uuidV7Maker(() => now);
    const made: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      if (i === 6000) now -= 5000;
      made.push(make());
    }
    assert.deepEqual(made, made.toSorted());
    assert.equal(new Set(made).size, made.length);
  });
});
