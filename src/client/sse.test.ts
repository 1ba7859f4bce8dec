import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EndlessBlock, maxBlockLength, type SseBlock, sseReader } from './sse.ts';

const encoder = new TextEncoder();

function readAll(bytes: Uint8Array, cuts: readonly number[] = []): SseBlock[] {
  const read = sseReader();
  const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).flatMap((to, i) => read(bytes.subarray(places[i], to)));
}

const block = (fields: Partial<SseBlock>): SseBlock => ({
  event: '',
  data: undefined,
  id: undefined,
  retryMs: undefined,
  ...fields,
});

describe('reading server-sent events', () => {
  const cases: [name: string, text: string, blocks: Partial<SseBlock>[]][] = [
    ['a message', 'data: {"a":1}\n\n', [{ data: '{"a":1}' }]],
    ['several lines of data', 'data: a\ndata\ndata:  b\n\n', [{ data: 'a\n\n b' }]],
    [
      'a name, an id and a pause',
      'event: x\nid: 1.2\nretry: 30\ndata:y\n\n',
      [{ event: 'x', id: '1.2', retryMs: 30, data: 'y' }],
    ],
    ['an id alone, which moves the bookmark', ': heartbeat\nid: 7\n\n', [{ id: '7' }]],
    ['comments and unknown fields', ': a\n\n:\n\nnonsense: 1\n\nevent: nobody\n\ndata: x\n\n', [{ data: 'x' }]],
    [
      'every kind of line break',
      'data: a\r\rdata: b\r\n\r\ndata: c\n\r\n',
      [{ data: 'a' }, { data: 'b' }, { data: 'c' }],
    ],
    ['a pause that is none', 'retry: 1s\nretry: -1\n\n', []],
    ['an id with NUL', 'id: a\0b\ndata: x\n\n', [{ data: 'x' }]],
    ['a byte order mark', '\ufeffdata: x\n\n', [{ data: 'x' }]],
    ['data that is empty', 'data:\n\n', [{ data: '' }]],
    ['what the end cut off', 'data: a\n\ndata: lost\n', [{ data: 'a' }]],
  ];
  for (const [name, text, blocks] of cases)
    it(`understands ${name}, wherever the bytes are cut`, () => {
      const bytes = encoder.encode(text);
      assert.deepEqual(readAll(bytes), blocks.map(block));
      for (let cut = 0; cut <= bytes.length; cut++)
        assert.deepEqual(readAll(bytes, [cut]), blocks.map(block), `${cut}`);
      assert.deepEqual(readAll(bytes, [...bytes.keys()]), blocks.map(block));
    });

  it('gives every message back as it was written, wherever the bytes are cut', () => {
    const lineBreak = fc.constantFrom('\n', '\r\n', '\r');
    const messages = fc.array(fc.record({ data: fc.json(), id: fc.nat().map(String), end: lineBreak }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(600), { maxLength: 12 }), (sent, cuts) => {
        const text = sent.map(({ data, id, end }) => `id: ${id}${end}data: ${data}${end}${end}`).join('');
        const bytes = encoder.encode(text);
        const got = readAll(
          bytes,
          cuts.filter((cut) => cut <= bytes.length),
        );
        assert.deepEqual(
          got,
          sent.map(({ data, id }) => block({ data, id })),
        );
      }),
    );
  });

  it('does not collect a block without an end', () => {
    const read = sseReader();
    const piece = encoder.encode('data: '.padEnd(64 * 1024, 'x'));
    assert.throws(() => {
      for (let size = 0; size <= maxBlockLength; size += piece.length) read(piece);
    }, EndlessBlock);
    const lines = sseReader();
    const line = encoder.encode(`data: ${'x'.repeat(1000)}\n`);
    assert.throws(() => {
      for (let size = 0; size <= maxBlockLength + 10_000; size += line.length) lines(line);
    }, EndlessBlock);
  });
});
