import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Principal } from '../events/principal.ts';
import type { Token } from '../events/token.ts';
import type { Bus } from './bus.ts';
import type { Outlet } from './streams/outlet.ts';
import { watchToken } from './watch-token.ts';

const bearer: Principal = { kind: 'agent', name: 'ADA', scopes: ['read'], tokenId: 't1' };
const turn = () => new Promise((go) => setImmediate(go));

function setUp(t: TestContext, principal: Principal, read: () => Promise<Token | undefined>) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const said: string[] = [];
  let close = () => {};
  const outlet = {
    end: (last: string) => void said.push(last),
    whenClosed(act: () => void) {
      close = act;
    },
  } as Partial<Outlet> as Outlet;
  let looks = 0;
  const tokenWithId = () => {
    looks++;
    return read();
  };
  const store = { tokenWithId } as Partial<Bus['store']> as Bus['store'];
  watchToken({ store, clock: () => 1000 }, principal, outlet);
  const pass = async () => {
    t.mock.timers.tick(15_000);
    await turn();
  };
  return { said, pass, close: () => close(), looks: () => looks };
}

const good = {
  id: 't1',
  kind: 'agent',
  name: 'ADA',
  scopes: ['read'],
  expiresAt: null,
  revokedAt: null as number | null,
};

describe('a stream whose token', () => {
  it('is revoked says why, and ends', async (t) => {
    let token = good;
    const { said, pass } = setUp(t, bearer, async () => token as unknown as Token);
    await pass();
    assert.deepEqual(said, []);
    token = { ...good, revokedAt: 500 };
    await pass();
    assert.match(said.join(), /^event: goaway\n.*was revoked[^\n]*\n\n$/s);
  });

  it('cannot be looked up for a moment goes on', async (t) => {
    const { said, pass } = setUp(t, bearer, () => Promise.reject(new Error('busy')));
    await pass();
    assert.deepEqual(said, []);
  });

  it('is no longer wanted, because its reader has gone, is asked for no more', async (t) => {
    const { pass, close, looks } = setUp(t, bearer, async () => good as unknown as Token);
    await pass();
    close();
    await pass();
    assert.equal(looks(), 1);
  });

  it('was never shown is not asked for', async (t) => {
    const { pass, looks } = setUp(t, { kind: 'anonymous' }, async () => undefined);
    await pass();
    assert.equal(looks(), 0);
  });
});
