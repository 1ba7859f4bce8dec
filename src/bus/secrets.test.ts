import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makeSecrets, resultKeptMs } from './secrets.ts';
import type { SealedSecret } from './store/call-secrets.ts';

/** Secrets on a clock that the test moves, with what a store would keep. */
function stand() {
  const kept: SealedSecret[] = [];
  const at = { now: 1_700_000_000_000 };
  const store = { secretsOf: async (call: string) => kept.filter((row) => row.call === call) };
  const key = { seal: randomBytes(32), bind: randomBytes(32) };
  const secrets = makeSecrets({ store, key: () => key, clock: () => at.now });
  const keep = (...sealed: SealedSecret[]) => kept.splice(0, kept.length, ...sealed);
  return { secrets, keep, key, at };
}

const saidOf = (sealed: readonly SealedSecret[]) =>
  Object.fromEntries(sealed.map(({ member, placeholder }) => [member, placeholder]));

describe('the secrets of calls', () => {
  it('open as what was sealed, whatever it is, and show nothing of it before', async () => {
    const { secrets, keep } = stand();
    const text = fc.string({ unit: 'binary', minLength: 8 }).filter((value) => value.isWellFormed());
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom('value', 'note', 'old'), text, { minKeys: 1 }), async (given) => {
        const values = { ...given };
        const sealed = secrets.seal('call-1', 'arguments', values);
        keep(...sealed);
        assert.deepEqual(await secrets.open('call-1', 'arguments', saidOf(sealed), Object.keys(values)), values);
        const shown = sealed.map((row) => row.sealed + row.placeholder).join();
        for (const value of Object.values(values)) assert.ok(!shown.includes(value));
      }),
    );
  });

  it('stand in events for the same value of the same member of the same call, and for no other', () => {
    const { secrets } = stand();
    const standsFor = (call: string, side: 'arguments' | 'result', member: string, value: string) =>
      secrets.seal(call, side, { [member]: value })[0]?.placeholder;
    const usual = standsFor('c', 'arguments', 'value', 'x');
    assert.equal(standsFor('c', 'arguments', 'value', 'x'), usual);
    const others = [
      standsFor('d', 'arguments', 'value', 'x'),
      standsFor('c', 'result', 'value', 'x'),
      standsFor('c', 'arguments', 'note', 'x'),
      standsFor('c', 'arguments', 'value', 'y'),
      stand().secrets.seal('c', 'arguments', { value: 'x' })[0]?.placeholder,
    ];
    assert.equal(new Set([usual, ...others]).size, 6);
  });

  it('do not open where a row was moved, exchanged or changed, or the event stands for another', async () => {
    const { secrets, keep } = stand();
    const [mine] = secrets.seal('mine', 'arguments', { value: 'one' }) as [SealedSecret];
    const [other] = secrets.seal('other', 'arguments', { value: 'two' }) as [SealedSecret];
    const flipped = Buffer.from(mine.sealed, 'base64');
    flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1;
    const odd: Partial<SealedSecret>[] = [
      { sealed: other.sealed },
      { ...other, call: 'mine' },
      { placeholder: other.placeholder },
      { sealed: flipped.toString('base64') },
      { sealed: '' },
      { side: 'result' },
      { member: 'note' },
    ];
    for (const change of odd) {
      keep({ ...mine, ...change });
      await assert.rejects(secrets.open('mine', 'arguments', { value: mine.placeholder }, ['value']), {
        code: 'not-found',
      });
    }
    keep(mine);
    assert.deepEqual(await secrets.open('mine', 'arguments', { value: mine.placeholder }, ['value']), { value: 'one' });
    await assert.rejects(secrets.open('mine', 'arguments', { value: other.placeholder }, ['value']));
    assert.deepEqual(
      await secrets.open('mine', 'arguments', {}, ['value']),
      {},
      'what the event has not is not asked for',
    );
  });

  it('do not open when their time is over', async () => {
    const { secrets, keep, at } = stand();
    const sealed = secrets.seal('c', 'result', { value: 'x' });
    keep(...sealed);
    at.now += resultKeptMs - 1;
    assert.deepEqual(await secrets.open('c', 'result', saidOf(sealed), ['value']), { value: 'x' });
    at.now += 1;
    await assert.rejects(secrets.open('c', 'result', saidOf(sealed), ['value']), {
      ...{ code: 'not-found', message: /it is for 10 minutes after the call was done/ },
    });
  });

  it('are not longer than 64 KiB', () => {
    const { secrets } = stand();
    assert.throws(() => secrets.seal('c', 'arguments', { value: 'x'.repeat(64 * 1024 + 1) }), { code: 'too-large' });
  });
});
