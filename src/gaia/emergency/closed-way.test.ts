import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { closedWay } from './closed-way.ts';

it('names the outermost folder that closes the user of the bot out', (t) => {
  const top = mkdtempSync(join(tmpdir(), 'way-'));
  t.after(() => rmSync(top, { recursive: true }));
  const bin = join(top, 'gaia', 'bin');
  mkdirSync(bin, { recursive: true });
  chmodSync(top, 0o711);
  assert.equal(closedWay([join(bin, 'gaia'), '/nowhere/gaia', 'gaia']), undefined);
  chmodSync(bin, 0o700);
  assert.equal(closedWay(['/gaia', join(bin, 'gaia')]), bin);
  chmodSync(join(top, 'gaia'), 0o750);
  assert.equal(closedWay([join(bin, 'gaia')]), join(top, 'gaia'));
});
