import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { bodyReader, bytesOf, jsonOf, type RawBody } from './body.ts';

/** A body in which these bytes stand inside a string, where JSON itself finds nothing wrong with them. */
const bodyWith = (...bytes: number[]) => ({
  kind: 'bytes' as const,
  bytes: Buffer.concat([Buffer.from('{"target":"'), Buffer.from(bytes), Buffer.from('"}')]),
});

describe('a body', () => {
  const broken: [what: string, bytes: number[]][] = [
    ['a byte that starts nothing', [0xff]],
    ['a character that is cut off', [0xe2, 0x82]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['half of a surrogate pair', [0xed, 0xa0, 0x80]],
    ['Latin-1', [0x66, 0xfc, 0x72]],
  ];
  for (const [what, bytes] of broken)
    it(`with ${what} in a string is refused rather than stored as something else`, () => {
      assert.throws(
        () => jsonOf(bodyWith(...bytes), undefined),
        (error) => error instanceof Fault && error.code === 'malformed' && /not valid UTF-8/.test(error.message),
      );
    });

  it('in UTF-8 is taken as it is', () => {
    assert.deepEqual(jsonOf(bodyWith(0xe2, 0x82, 0xac), undefined), { target: '€' });
  });
});

describe('bodies that arrive at the same time', () => {
  const kiB = 1024;
  /** A body on its way: what it became, once it did. */
  function arriving(read: ReturnType<typeof bodyReader>) {
    const request = new EventEmitter();
    const became: RawBody[] = [];
    read(request as IncomingMessage, 8 * kiB * kiB, (body) => became.push(body));
    return {
      became,
      send: (bytes: number) => request.emit('data', Buffer.alloc(bytes)),
      end: () => request.emit('end') && request.emit('close'),
      cut: () => request.emit('close'),
    };
  }
  const kinds = ({ became }: { became: RawBody[] }) => became.map(({ kind }) => kind);

  it('share the room for large ones; who finds none is told so, and there is room again afterwards', () => {
    const read = bodyReader(1000 * kiB);
    const [first, second, small, third] = [arriving(read), arriving(read), arriving(read), arriving(read)];
    first.send(600 * kiB);
    second.send(300 * kiB);
    second.send(200 * kiB);
    assert.deepEqual(kinds(second), ['no-room']);
    second.send(100 * kiB);
    second.end();
    assert.throws(
      () => bytesOf(second.became[0] as RawBody),
      (error) => error instanceof Fault && error.code === 'unavailable',
    );
    small.send(256 * kiB);
    small.end();
    assert.deepEqual(kinds(small), ['bytes'], 'a usual one needs no room');
    third.send(300 * kiB);
    first.end();
    third.send(600 * kiB);
    third.cut();
    assert.deepEqual([kinds(first), kinds(third)], [['bytes'], ['cut-short']]);
    const last = arriving(read);
    last.send(999 * kiB);
    last.end();
    assert.deepEqual(kinds(last), ['bytes'], 'what ended, was refused or cut short holds nothing');
    assert.deepEqual(
      [first, second, small, third, last].map(({ became }) => became.length),
      [1, 1, 1, 1, 1],
    );
  });

  it('above its limit is told so once', () => {
    const body = arriving(bodyReader());
    for (let i = 0; i < 3; i++) body.send(4 * kiB * kiB);
    body.end();
    assert.deepEqual(body.became, [{ kind: 'too-large', maxBytes: 8 * kiB * kiB }]);
  });
});
