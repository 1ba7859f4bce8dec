import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findHome } from './home.ts';

function folder(t: TestContext, ...below: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'home-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const path of below) mkdirSync(join(root, path), { recursive: true });
  return root;
}

describe('finding the home', () => {
  it('takes the flag before the environment', () => {
    const home = findHome({ flag: '/a', env: '/b', cwd: '/', program: '/nowhere' });
    assert.deepEqual(home, { dir: '/a', because: '--home' });
  });

  it('takes the environment before any folder', (t) => {
    const root = folder(t, '.leveredge');
    assert.equal(findHome({ env: 'x', cwd: root, program: root }).dir, join(root, 'x'));
  });

  it('finds the nearest .leveredge upwards', (t) => {
    const root = folder(t, '.leveredge', 'a/.leveredge', 'a/b/c');
    assert.equal(findHome({ cwd: join(root, 'a/b/c'), program: '/nowhere' }).dir, join(root, 'a/.leveredge'));
  });

  it('keeps the home of a checkout in the checkout', (t) => {
    const root = folder(t, 'src/bin');
    assert.equal(findHome({ cwd: '/', program: root }).dir, join(root, '.leveredge'));
  });

  it('finds the home an installed program lies in', (t) => {
    const root = folder(t, 'control-plane', 'program/dist');
    assert.equal(findHome({ cwd: '/', program: join(root, 'program') }).dir, root);
  });

  it('ends at /opt/leveredge', () => {
    assert.equal(findHome({ cwd: '/', program: '/nowhere' }).dir, '/opt/leveredge');
  });
});
