import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SealedSecret } from './call-secrets.ts';
import { aFact } from './store.fixtures.ts';
import type { Fresh } from './store-questions.contract.ts';

function sealed(fields: Partial<SealedSecret> = {}): SealedSecret {
  const usual = {
    call: 'call-1',
    side: 'arguments',
    member: 'value',
    placeholder: 'secret:x',
    sealed: 'AAAA',
  } as const;
  return { ...usual, until: 1_700_000_000_000, ...fields };
}

/** What every store promises about the secrets of calls. */
export function testCallSecrets(driver: string, fresh: Fresh): void {
  describe(`${driver} store: secrets of calls`, () => {
    it('keeps them with the event that is stored, and not with one that was stored before', async (t) => {
      const { store, again } = await fresh(t);
      const draft = aFact({ id: 'call-1' });
      assert.equal((await store.publishWithSecrets(draft, [sealed()])).kind, 'stored');
      assert.equal((await store.publishWithSecrets(draft, [sealed({ sealed: 'BBBB' })])).kind, 'duplicate');
      const other = await store.publishWithSecrets(aFact({ id: 'call-1', target: 'prod' }), [sealed({ member: 'x' })]);
      assert.equal(other.kind, 'id-taken');
      assert.deepEqual(await store.secretsOf('call-1'), [sealed()]);
      assert.deepEqual(await (await again()).secretsOf('call-1'), [sealed()]);
    });

    it('puts what is kept anew in the place of what was kept of the same member', async (t) => {
      const { store } = await fresh(t);
      await store.keepSecrets([sealed({ side: 'result' }), sealed({ side: 'result', member: 'other' })]);
      await store.keepSecrets([sealed({ side: 'result', sealed: 'BBBB' })]);
      const found = (await store.secretsOf('call-1')).map(({ member, sealed: text }) => [member, text]);
      assert.deepEqual(found, [
        ['other', 'AAAA'],
        ['value', 'BBBB'],
      ]);
    });

    it('lists which sides of which calls it keeps, page by page, and forgets one without the other', async (t) => {
      const { store } = await fresh(t);
      const sides = ['a', 'b', 'c'].flatMap((call) =>
        (['arguments', 'result'] as const).map((side, n) => ({ call, side, until: n })),
      );
      await store.keepSecrets(sides.flatMap((each) => [sealed(each), sealed({ ...each, member: 'second' })]));
      const paged = [];
      for (let page = await store.keptSecrets(4); page.length > 0; page = await store.keptSecrets(4, page.at(-1)))
        paged.push(...page);
      assert.deepEqual(paged, sides);
      for (const _ of [1, 2]) await store.dropSecrets('b', 'arguments');
      assert.deepEqual(
        (await store.secretsOf('b')).map(({ side }) => side),
        ['result', 'result'],
      );
      assert.deepEqual(await store.secretsOf('nobody'), []);
    });
  });
}
