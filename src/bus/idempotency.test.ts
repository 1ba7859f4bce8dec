import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import type { Principal } from '../events/principal.ts';
import { makeKeysInUse } from './idempotency.ts';
import type { Once } from './store/store.ts';

const anonymous: Principal = { kind: 'anonymous' };
const bearer = (kind: 'agent' | 'person', name: string): Principal => ({ kind, name, scopes: [], tokenId: 't' });
const asked = (
  key: string | undefined,
  raw = 'x',
  headers: Record<string, string> = {},
  principal: Principal = anonymous,
) => ({
  headers: { ...(key === undefined ? {} : { 'idempotency-key': key }), ...headers },
  raw: Buffer.from(raw),
  principal,
});
const code = (expected: string) => (error: unknown) => error instanceof Fault && error.code === expected;
const given = async (once: Once | undefined) => once;

describe('the keys in use', () => {
  it('let a request without a key pass as often as it comes', async () => {
    const keys = makeKeysInUse();
    const never = keys.run('/events', asked(undefined), () => new Promise<never>(() => {}));
    assert.equal(await keys.run('/events', asked(undefined), given), undefined);
    assert.ok(never);
  });

  it('tell a second one to wait while the first is worked on, and let it pass afterwards', async () => {
    const keys = makeKeysInUse();
    let end = () => {};
    const first = keys.run('/events', asked('k'), () => new Promise<void>((done) => (end = done)));
    await assert.rejects(keys.run('/events', asked('k'), given), code('still-running'));
    await assert.rejects(keys.run('/events', asked('k', 'y'), given), code('invalid'));
    assert.equal((await keys.run('/events', asked('other'), given))?.key, 'other');
    end();
    await first;
    assert.equal((await keys.run('/events', asked('k'), given))?.key, 'k');
  });

  it('are free again when the work failed', async () => {
    const keys = makeKeysInUse();
    await assert.rejects(
      keys.run('/events', asked('k'), () => Promise.reject(new Error('disk'))),
      /disk/,
    );
    assert.equal((await keys.run('/events', asked('k'), given))?.key, 'k');
  });

  it('belong to whoever calls', async () => {
    const keys = makeKeysInUse();
    const principals = [anonymous, bearer('agent', 'A'), bearer('person', 'A'), bearer('agent', 'anonymous')];
    const owners = await Promise.all(
      principals.map(async (principal) => (await keys.run('/events', asked('k', 'x', {}, principal), given))?.owner),
    );
    assert.deepEqual(owners, ['anonymous', 'agent:A', 'person:A', 'agent:anonymous']);
  });

  it('tell requests apart by path, type, bytes and the headers of a CloudEvent, and by nothing else', async () => {
    const keys = makeKeysInUse();
    const requestOf = async (path: string, raw: string, headers: Record<string, string>) =>
      (await keys.run(path, asked('k', raw, headers), given))?.request;
    const same = await requestOf('/events', 'x', {});
    assert.equal(await requestOf('/events', 'x', { 'user-agent': 'curl', host: 'a' }), same);
    for (const [path, raw, headers] of [
      ['/events:batch', 'x', {}],
      ['/events', 'y', {}],
      ['/events', 'x', { 'content-type': 'application/json' }],
      ['/events', 'x', { 'ce-id': '1' }],
      ['/events', 'x', { 'ce-id': '2' }],
    ] as const)
      assert.notEqual(await requestOf(path, raw, headers), same);
  });
});
