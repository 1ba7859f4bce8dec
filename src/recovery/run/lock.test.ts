import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { holderOf, takeLock } from './lock.ts';

const clock = () => 1_760_000_000_000;
let state: string;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => rmSync(state, { recursive: true }));

describe('the lock of a home', () => {
  it('is had by one at a time, who is named to the other', () => {
    const lock = takeLock({ state }, 'backup', clock);
    assert.throws(() => takeLock({ state }, 'restore', clock), { code: 'locked', message: /backup, process \d+/ });
    assert.equal(holderOf({ state })?.verb, 'backup');
    lock.release();
    lock.release();
    assert.equal(holderOf({ state }), undefined);
    takeLock({ state }, 'restore', clock).release();
  });

  it('is free again when its holder was killed', async () => {
    const script = `const { takeLock } = await import(${JSON.stringify(new URL('lock.ts', import.meta.url).href)});
      globalThis.lock = takeLock({ state: ${JSON.stringify(state)} }, 'restore', Date.now);
      console.log('held'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    try {
      await Promise.race([once(child.stdout, 'data'), ended]);
      assert.equal(holderOf({ state })?.pid, child.pid);
      assert.throws(() => takeLock({ state }, 'backup', clock), { code: 'locked' });
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    assert.equal(holderOf({ state }), undefined);
    takeLock({ state }, 'backup', clock).release();
  });

  it('is asked for again while its holder has not said yet who it is, or lets go', async () => {
    const script = `const { DatabaseSync } = await import('node:sqlite');
      const database = new DatabaseSync(${JSON.stringify(join(state, 'lock.db'))});
      database.exec('BEGIN EXCLUSIVE'); console.log('held'); setTimeout(() => database.close(), 150);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await Promise.race([once(child.stdout, 'data'), ended]);
    takeLock({ state }, 'backup', clock).release();
    await ended;
  });

  it('has no holder when it was written down in another boot or half', () => {
    const lock = takeLock({ state }, 'backup', clock);
    const info = join(state, 'lock.json');
    const text = readFileSync(info, 'utf8');
    writeFileSync(info, JSON.stringify({ ...JSON.parse(text), boot_id: 'another' }));
    assert.equal(holderOf({ state }), undefined);
    writeFileSync(info, text.slice(0, 20));
    assert.equal(holderOf({ state }), undefined);
    assert.throws(() => takeLock({ state }, 'restore', clock), { code: 'locked', message: /does not say who/ });
    lock.release();
  });
});
