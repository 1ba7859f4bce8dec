import assert from 'node:assert/strict';
import { it } from 'node:test';
import { showBytes } from './amounts.ts';

it('an amount of bytes is never shown as 1024 of a unit', () => {
  const shown = [0, 1023, 1024, 1024 ** 2 - 1, 1024 ** 2, 580 * 1024 ** 2, 1024 ** 3 - 1, 1.4 * 1024 ** 3].map(
    showBytes,
  );
  assert.deepEqual(shown, ['0 B', '1023 B', '1.0 KiB', '1.0 MiB', '1.0 MiB', '580 MiB', '1.0 GiB', '1.4 GiB']);
});
