import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Decrypter, Encrypter } from 'age-encryption';
import fc from 'fast-check';
import { openArchiveFile } from '../archive/archive-file.ts';
import { openSealedFile } from '../archive/sealed-file.ts';
import { ageMagic, newHeader, openHeader } from './age-header.ts';
import { type AgeKey, newAgeKey } from './age-key.ts';
import { chunkBytes, sealedChunkBytes } from './payload.ts';

describe('a file in the format of age', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealed-'));
  let key: AgeKey;
  let other: AgeKey;
  let count = 0;
  const fresh = () => join(folder, `${++count}`);

  before(async () => {
    key = await newAgeKey();
    other = await newAgeKey();
  });
  after(() => rmSync(folder, { recursive: true }));

  const piece = (length: number, seed: number) => Buffer.alloc(length, createHash('sha512').update(`${seed}`).digest());

  /** Writes pieces, leaving room for some of them until the end, and answers the file and what is in it. */
  async function write(
    lengths: readonly number[],
    late: ReadonlySet<number>,
  ): Promise<{ file: string; plain: Buffer }> {
    const file = fresh();
    const sealed = await openSealedFile(file, await newHeader([key.recipient, other.recipient]));
    const fills: (() => Promise<void>)[] = [];
    for (const [n, length] of lengths.entries()) {
      if (!late.has(n)) await sealed.write(piece(length, n));
      else {
        const fill = await sealed.reserve(length);
        fills.push(() => fill(piece(length, n)));
      }
    }
    for (const fill of fills.reverse()) await fill();
    const bytes = await sealed.finish();
    await sealed.close();
    const plain = Buffer.concat(lengths.map(piece));
    assert.deepEqual([sealed.bytes, bytes], [plain.length, readFileSync(file).length]);
    return { file, plain };
  }

  async function libraryOpens(file: string, identity: string): Promise<Buffer> {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    return Buffer.from(await decrypter.decrypt(readFileSync(file)));
  }

  const lengths = fc.array(
    fc.oneof(
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: chunkBytes - 2, max: chunkBytes + 2 }),
      fc.integer({ min: 0, max: 3 * chunkBytes }),
    ),
    { maxLength: 7 },
  );

  it('is opened by another program, whatever was written and in which order', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, fc.uniqueArray(fc.nat(6)), async (all, late) => {
        const { file, plain } = await write(all, new Set(late));
        for (const { identity } of [key, other])
          assert.ok((await libraryOpens(file, identity)).equals(plain), `${all} ${late}`);
      }),
      { numRuns: 25 },
    );
  });

  it('is read from any place, and from one end to the other with each byte of the file told once', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, fc.nat(), fc.nat(), async (all, one, two) => {
        const { file, plain } = await write(all, new Set());
        const opened = await openArchiveFile(file, { identities: () => [other.identity] });
        assert.equal(opened.bytes, plain.length);
        const [from, to] = [one % (plain.length + 1), two % (plain.length + 1)].sort((a, b) => a - b) as [
          number,
          number,
        ];
        const some = Buffer.alloc(to - from);
        await opened.read(some, from);
        assert.ok(some.equals(plain.subarray(from, to)));
        const [hash, parts]: [ReturnType<typeof createHash>, Buffer[]] = [createHash('sha256'), []];
        const buffer = Buffer.alloc(2 * chunkBytes);
        for (let length = -1; length !== 0; ) {
          length = await opened.next(buffer, (raw) => hash.update(raw));
          parts.push(Buffer.from(buffer.subarray(0, length)));
        }
        await opened.close();
        assert.ok(Buffer.concat(parts).equals(plain));
        assert.equal(hash.digest('hex'), createHash('sha256').update(readFileSync(file)).digest('hex'));
        await inOrder(file, plain, from);
      }),
      { numRuns: 25 },
    );
  });

  /** As frames are proven: in order, in pieces that do not end where chunks end. */
  async function inOrder(file: string, plain: Buffer, cut: number): Promise<void> {
    const opened = await openArchiveFile(file, { identities: () => [key.identity] });
    const hash = createHash('sha256');
    for (const [start, end] of [
      [0, cut],
      [cut, plain.length],
    ] as const) {
      if (start === end && plain.length > 0) continue;
      const part = Buffer.alloc(end - start);
      opened.readInOrder(part, start, (raw) => hash.update(raw));
      assert.ok(part.equals(plain.subarray(start, end)));
    }
    await opened.close();
    assert.equal(hash.digest('hex'), createHash('sha256').update(readFileSync(file)).digest('hex'));
  }

  it('opens what another program has sealed', async () => {
    for (const length of [0, 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes]) {
      const encrypter = new Encrypter();
      encrypter.addRecipient(key.recipient);
      const file = fresh();
      writeFileSync(file, await encrypter.encrypt(piece(length, length)));
      const opened = await openArchiveFile(file, { identities: () => [key.identity] });
      const plain = Buffer.alloc(length);
      await opened.read(plain, 0);
      await opened.close();
      assert.ok(plain.equals(piece(length, length)));
    }
  });

  it('finds each bit that was changed, what was cut off, and chunks that changed places', async () => {
    const { file, plain } = await write([chunkBytes * 2 + 100], new Set());
    const whole = readFileSync(file);
    const readAll = async (bytes: Buffer) => {
      const changed = fresh();
      writeFileSync(changed, bytes);
      const opened = await openArchiveFile(changed, { identities: () => [key.identity] });
      try {
        const all = Buffer.alloc(opened.bytes);
        await opened.read(all, 0);
        return all;
      } finally {
        await opened.close();
      }
    };
    assert.ok((await readAll(whole)).equals(plain));
    // Before that it says that it is encrypted at all; without that it is no archive, which others find.
    for (let at = ageMagic.length; at < whole.length; at += at < 600 ? 7 : 5003) {
      const changed = Buffer.from(whole);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      await assert.rejects(readAll(changed), { name: 'Fault' }, `byte ${at}`);
    }
    const base = whole.length - 2 * sealedChunkBytes - 116;
    for (const length of [30, base - 1, base, base + 5, base + sealedChunkBytes, whole.length - 116, whole.length - 1])
      await assert.rejects(readAll(whole.subarray(0, length)), { code: 'damaged' }, `${length} bytes`);
    const swapped = Buffer.concat([
      whole.subarray(0, base),
      whole.subarray(base + sealedChunkBytes, base + 2 * sealedChunkBytes),
      whole.subarray(base, base + sealedChunkBytes),
      whole.subarray(base + 2 * sealedChunkBytes),
    ]);
    await assert.rejects(readAll(swapped), { code: 'damaged' });
  });

  it('stays closed to a key that it is not for, and says which key to bring', async () => {
    const { file } = await write([100], new Set());
    const stranger = await newAgeKey();
    await assert.rejects(openArchiveFile(file, { identities: () => [stranger.identity] }), {
      code: 'forbidden',
      message: /none of the keys that were tried belongs to it/,
      hint: /--identity FILE/,
    });
    await assert.rejects(openArchiveFile(file), { code: 'forbidden', message: /no key here/ });
  });

  it('has a key of its own in each header, and none for what is no recipient', async () => {
    const [one, two] = [await newHeader([key.recipient]), await newHeader([key.recipient])];
    assert.ok(!Buffer.from(one.fileKey).equals(Buffer.from(two.fileKey)));
    assert.deepEqual(await openHeader(one.header, [other.identity, key.identity]), one.fileKey);
    assert.equal(await openHeader(one.header, [other.identity]), undefined);
    await assert.rejects(newHeader([key.recipient.replace(/.$/, (c) => (c === 'q' ? 'p' : 'q'))]), { code: 'usage' });
  });

  it('is not finished while something that was reserved is missing', async () => {
    const sealed = await openSealedFile(fresh(), await newHeader([key.recipient]));
    await sealed.reserve(100);
    await sealed.write(Buffer.alloc(2 * chunkBytes));
    await assert.rejects(sealed.finish(), /never filled/);
    await sealed.close();
  });
});
