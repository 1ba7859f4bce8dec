import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../../base/fault.ts';
import { hostile } from './hostile.fixtures.ts';
import {
  admitted,
  anyCuts,
  anyMember,
  archive,
  extended,
  isDamage,
  octal,
  rawHeader,
  readAll,
  written,
} from './tar.fixtures.ts';
import { headerOf } from './writer.ts';

describe('reading a hostile archive', () => {
  for (const { name, bytes, says, dialects } of hostile)
    it(`refuses ${name}, and says so`, () => {
      for (const dialect of dialects ?? (['gnu', 'old'] as const))
        for (const cuts of [[], [1], [512]])
          assert.throws(() => admitted(bytes, dialect, cuts), isDamage(says), dialect);
      // Of our own archives only our own spelling is read, so the reason may be another one.
      if (dialects === undefined) assert.throws(() => admitted(bytes, 'own'), isDamage(/./));
    });
});

describe('reading in the dialect of our own', () => {
  it('takes no second spelling of what it would write', () => {
    const plain = { name: 'a', size: octal(0), mtime: octal(1) };
    assert.equal(admitted(archive(rawHeader(plain)), 'gnu').length, 1);
    const spellings = [
      archive(rawHeader({ ...plain, uname: 'root', devMajor: '0000000' })),
      archive(rawHeader({ ...plain, size: '          0' })),
      archive(extended([['path', 'a']]), rawHeader(plain)),
      archive(extended([['comment', 'for people']]), rawHeader(plain)),
      archive(rawHeader({ ...plain, prefix: 'p' })),
    ];
    for (const bytes of spellings)
      assert.throws(() => admitted(bytes, 'own'), isDamage(/not as LeverEdge writes|folder it lies in/));
  });

  it('finds every bit that is turned over in a header', () => {
    fc.assert(
      fc.property(anyMember, fc.nat(), (member, at) => {
        const bytes = written([member]);
        const header = headerOf(member.entry).length;
        const bit = at % (header * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        try {
          const [read] = readAll(bytes, 'own');
          // A bit within an attribute's value or a name is another archive, and a sound one: the list of files tells.
          assert.notDeepEqual(read?.entry, member.entry);
        } catch (error) {
          assert.ok(error instanceof Fault && error.code === 'damaged', String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('reading what is damaged', () => {
  it('throws nothing but faults, and ends, whatever the bytes are', () => {
    fc.assert(
      fc.property(
        fc.array(anyMember, { minLength: 1, maxLength: 4 }),
        anyCuts,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (members, cuts, edits, cut) => {
          const bytes = written(members);
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          const cutOff = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
          for (const dialect of ['own', 'gnu', 'old'] as const)
            try {
              readAll(Buffer.from(cutOff), dialect, { cuts });
            } catch (error) {
              assert.ok(error instanceof Fault && error.code === 'damaged', String(error));
            }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is found wherever it is cut off', () => {
    fc.assert(
      fc.property(fc.array(anyMember, { minLength: 1, maxLength: 3 }), fc.nat(), (members, at) => {
        const bytes = written(members);
        assert.throws(() => readAll(bytes.subarray(0, at % bytes.length), 'own'), isDamage(/./));
      }),
      { numRuns: 200 },
    );
  });
});
