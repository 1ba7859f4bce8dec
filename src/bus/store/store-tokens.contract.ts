import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashOfSecret, newSecret, type Token } from '../../events/token.ts';
import type { Fresh } from './store-questions.contract.ts';

/** What every store promises about tokens. */
export function testTokens(driver: string, fresh: Fresh): void {
  const owners: Token = {
    ...{ id: 't1', name: 'damon "é"', kind: 'person', scopes: ['admin', 'publish:a"_*'], perMinute: null },
    ...{ createdAt: 1_700_000_000_000, expiresAt: null, lastUsedAt: null, revokedAt: null },
  } as Token;
  const hash = hashOfSecret(newSecret());

  describe(`${driver} store: tokens`, () => {
    it('finds a token by the hash of its secret, as it was given', async (t) => {
      const { store, again } = await fresh(t);
      assert.equal(await store.token(hash), undefined);
      assert.equal(await store.addOwnersToken(owners, hash), true);
      assert.deepEqual(await store.token(hash), owners);
      assert.deepEqual(await store.tokenWithId('t1'), owners);
      assert.equal(await store.tokenWithId('t'), undefined);
      for (const other of [hashOfSecret(newSecret()), '', `${hash} `, hash.toUpperCase(), '%'])
        assert.equal(await store.token(other), undefined, other);
      assert.deepEqual(await (await again()).token(hash), owners);
    });

    it('makes the owner’s token once in its life', async (t) => {
      const { store, again } = await fresh(t);
      assert.equal(await store.ownersTokenWasMade(), false);
      await store.addOwnersToken(owners, hash);
      assert.equal(await store.ownersTokenWasMade(), true);
      const other = hashOfSecret(newSecret());
      assert.equal(await store.addOwnersToken({ ...owners, id: 't2' }, other), false);
      assert.equal(await store.token(other), undefined);
      const later = await again();
      assert.equal(await later.ownersTokenWasMade(), true);
      assert.equal(await later.addOwnersToken({ ...owners, id: 't3' }, other), false);
    });

    it('notes when a token was used, never back in time, and of an unknown one nothing', async (t) => {
      const { store } = await fresh(t);
      await store.addOwnersToken(owners, hash);
      for (const [at, noted] of [
        [5, 5],
        [9, 9],
        [7, 9],
      ] as const) {
        await store.noteTokenUsed('t1', at);
        assert.equal((await store.token(hash))?.lastUsedAt, noted);
      }
      await store.noteTokenUsed('none', 1);
    });
  });
}
