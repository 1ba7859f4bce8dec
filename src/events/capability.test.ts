import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../base/canonical-json.ts';
import type { Json, JsonObject } from '../base/json.ts';
import {
  type Asker,
  approvalAction,
  calledAction,
  ownerOf,
  payloadHash,
  returnedAction,
  returnedId,
} from './capability.ts';

const asker = fc.record({
  kind: fc.constantFrom<Asker['kind']>('anonymous', 'agent', 'person', 'tool'),
  name: fc.option(fc.string(), { nil: null }),
});
const call = fc.record({
  capability: fc.string(),
  arguments: fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonObject>,
  asked_by: asker,
});

/** The same with the members of each object the other way round. */
function turned(value: Json): Json {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, each]) => [key, turned(each as Json)]),
  );
}

const rollback = {
  ...{ capability: 'hades.rollback', arguments: { target: 'dev', backup: 'b', plan: 'p' } },
  asked_by: { kind: 'person', name: 'anna' } as Asker,
};

describe('what an approval is bound to', () => {
  it('is another for every change of capability, arguments or asker', () => {
    fc.assert(
      fc.property(call, call, (one, other) => {
        const isSame = canonicalJson(one as unknown as Json) === canonicalJson(other as unknown as Json);
        assert.equal(payloadHash(one) === payloadHash(other), isSame);
      }),
    );
    fc.assert(
      fc.property(call, call, fc.constantFrom('capability', 'arguments', 'asked_by'), (one, other, member) => {
        const changed = { ...one, [member]: other[member as keyof typeof other] };
        const isSame = canonicalJson(one as unknown as Json) === canonicalJson(changed as unknown as Json);
        assert.equal(payloadHash(one) === payloadHash(changed), isSame);
      }),
    );
    const changes: Partial<typeof rollback>[] = [
      { capability: 'hades.undo' },
      { arguments: { ...rollback.arguments, target: 'prod' } },
      { arguments: { ...rollback.arguments, more: '' } as never },
      { arguments: { target: 'dev', backup: 'bp', plan: '' } },
      { asked_by: { kind: 'agent', name: 'anna' } },
      { asked_by: { kind: 'person', name: 'Anna' } },
      { asked_by: { kind: 'person', name: null } },
    ];
    const hashes = [{}, ...changes].map((change) => payloadHash({ ...rollback, ...change }));
    assert.equal(new Set(hashes).size, hashes.length);
  });

  it('is the same in whatever order the members stand', () => {
    fc.assert(
      fc.property(call, (one) => {
        const other = turned(one as unknown as Json) as unknown as typeof one;
        assert.equal(payloadHash(other), payloadHash(one));
      }),
    );
    assert.match(payloadHash(rollback), /^[0-9a-f]{64}$/);
  });
});

describe('the events about a call', () => {
  it('are named for its capability, and the end of a call has one id', () => {
    const name = 'hades.rollback';
    assert.equal(ownerOf(name), 'HADES');
    assert.deepEqual(
      [calledAction(name), returnedAction(name), approvalAction(name)],
      [...['hades_rollback_called', 'hades_rollback_returned', 'hades_rollback_approval']],
    );
    assert.equal(returnedId(name, 'c1'), returnedId(name, 'c1'));
    assert.equal(new Set([returnedId(name, 'c1'), returnedId(name, 'c2'), returnedId('hades.undo', 'c1')]).size, 3);
  });
});
