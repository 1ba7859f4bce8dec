import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { makeLog } from '../base/log.ts';
import { anonymous } from '../events/principal.ts';
import { hashOfSecret, newSecret, type Token } from '../events/token.ts';
import { makeGate, requireStillGood } from './gate.ts';

const secret = newSecret();

/** A gate before one token, on a clock that the test moves. */
function setUp(token: Partial<Token> = {}, auth: 'loopback' | 'required' = 'loopback') {
  const clock = { now: 1_000_000 };
  const used: number[] = [];
  const lines: string[] = [];
  const stored: Token = {
    ...{ id: 't1', name: 'ADA', kind: 'agent', scopes: ['read'], perMinute: null, createdAt: 0 },
    ...{ expiresAt: null, lastUsedAt: null, revokedAt: null },
    ...token,
  } as Token;
  const store = {
    token: async (hash: string) => (hash === hashOfSecret(secret) ? stored : undefined),
    async noteTokenUsed(_id: string, at: number) {
      used.push(at);
      throw new Fault('storage-full', 'Full.');
    },
  };
  const log = makeLog(
    (line) => lines.push(line),
    () => clock.now,
  );
  const admit = makeGate({ auth, store, clock: () => clock.now, log })('read');
  const enter = (authorization?: string) =>
    admit({ headers: { authorization }, socket: { remoteAddress: '10.0.0.9' } } as unknown as IncomingMessage, {});
  return { clock, used, lines, enter, stored };
}

describe('the gate', () => {
  it('lets in who shows nothing on loopback at once, and nowhere else', () => {
    assert.equal(setUp().enter(), anonymous);
    assert.throws(() => setUp({}, 'required').enter(), { code: 'unauthorized' });
  });

  it('knows who shows a token', async () => {
    assert.deepEqual(await setUp().enter(`Bearer ${secret}`), {
      ...{ kind: 'agent', name: 'ADA', scopes: ['read'], tokenId: 't1' },
    });
  });

  it('ends a token at its time, to the millisecond', async () => {
    const { clock, enter } = setUp({ expiresAt: 1_000_001 });
    await enter(`Bearer ${secret}`);
    clock.now++;
    await assert.rejects(async () => enter(`Bearer ${secret}`), { code: 'unauthorized', message: /has expired/ });
  });

  it('remembers nothing: a revocation counts at the next call', async () => {
    const { stored, enter } = setUp();
    await enter(`Bearer ${secret}`);
    stored.revokedAt = 5;
    await assert.rejects(async () => enter(`Bearer ${secret}`), { code: 'unauthorized', message: /was revoked/ });
  });

  it('can be asked again, for a call that stays', async () => {
    const { stored, clock, enter } = setUp({ expiresAt: 1_000_010 });
    const bus = {
      store: { tokenWithId: async (id: string) => (id === 't1' ? stored : undefined) },
      clock: () => clock.now,
    };
    const bearer = await enter(`Bearer ${secret}`);
    await requireStillGood(bus, bearer);
    await requireStillGood(bus, anonymous);
    clock.now += 10;
    await assert.rejects(requireStillGood(bus, bearer), { code: 'unauthorized', message: /has expired/ });
    stored.revokedAt = 3;
    await assert.rejects(requireStillGood(bus, bearer), { code: 'unauthorized', message: /was revoked/ });
    stored.id = 'gone';
    const elsewhere = { ...bus, store: { tokenWithId: async () => undefined } };
    await assert.rejects(requireStillGood(elsewhere, bearer), { code: 'unauthorized' });
  });

  it('notes the use at most once a minute, and lets nobody fail for it', async () => {
    const { clock, used, enter } = setUp();
    for (const passed of [0, 1, 59_998, 1, 30_000, 30_000]) {
      clock.now += passed;
      await enter(`Bearer ${secret}`);
    }
    assert.deepEqual(used, [1_000_000, 1_060_000, 1_120_000]);
    const again = setUp({ lastUsedAt: 999_000 });
    await again.enter(`Bearer ${secret}`);
    assert.deepEqual(again.used, [], 'also by what another start noted');
  });

  it('tells of refusals once in ten seconds, with how many there were, and without the token', async () => {
    const { clock, lines, enter } = setUp();
    const wrong = newSecret();
    for (let i = 0; i < 50; i++) {
      await assert.rejects(async () => enter(`Bearer ${wrong}`), { code: 'unauthorized' });
      clock.now += 300;
    }
    assert.equal(lines.length, 2);
    assert.match(lines[0] as string, /a token was refused why="This bus knows no such token\." from="10\.0\.0\.9"\n$/);
    assert.match(lines[1] as string, /refused_since=33\n$/);
    assert.ok(!lines.join('').includes('lev_'));
  });
});
