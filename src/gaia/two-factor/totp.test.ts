import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fromBase32, toBase32 } from './base32.ts';
import { codeAt, judgeCode, otpauthUri, stepAt } from './totp.ts';

/** RFC 6238, appendix B. Its keys are as long as the hash, as erratum 2866 says. */
const keys = {
  sha1: Buffer.from('12345678901234567890'),
  sha256: Buffer.from('12345678901234567890123456789012'),
  sha512: Buffer.from('1234567890123456789012345678901234567890123456789012345678901234'),
} as const;
const vectors: [seconds: number, code: string, algorithm: keyof typeof keys][] = [
  [59, '94287082', 'sha1'],
  [59, '46119246', 'sha256'],
  [59, '90693936', 'sha512'],
  [1111111109, '07081804', 'sha1'],
  [1111111109, '68084774', 'sha256'],
  [1111111109, '25091201', 'sha512'],
  [1111111111, '14050471', 'sha1'],
  [1111111111, '67062674', 'sha256'],
  [1111111111, '99943326', 'sha512'],
  [1234567890, '89005924', 'sha1'],
  [1234567890, '91819424', 'sha256'],
  [1234567890, '93441116', 'sha512'],
  [2000000000, '69279037', 'sha1'],
  [2000000000, '90698825', 'sha256'],
  [2000000000, '38618901', 'sha512'],
  [20000000000, '65353130', 'sha1'],
  [20000000000, '77737706', 'sha256'],
  [20000000000, '47863826', 'sha512'],
];
/** RFC 4226, appendix D. */
const hotp = ['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489'];

const secret = keys.sha1;
const atMs = 1_764_412_345_000;
const now = stepAt(atMs);

describe('a code', () => {
  for (const [seconds, code, algorithm] of vectors)
    it(`of ${seconds} s with ${algorithm} is that of RFC 6238`, () => {
      assert.equal(codeAt(keys[algorithm], stepAt(seconds * 1000), { digits: 8, algorithm }), code);
    });

  it('of six digits is that of RFC 4226', () => {
    assert.deepEqual(
      hotp.map((_, n) => codeAt(secret, n)),
      hotp,
    );
  });

  it('is right in its step, the one before and the one after, and never again', () => {
    for (const away of [-1, 0, 1])
      assert.deepEqual(judgeCode(secret, codeAt(secret, now + away), atMs, 0), { kind: 'right', step: now + away });
    for (const away of [-10, -2, 2, 10])
      assert.deepEqual(judgeCode(secret, codeAt(secret, now + away), atMs, 0), { kind: 'wrong' });
    for (const last of [now, now + 1])
      assert.deepEqual(judgeCode(secret, codeAt(secret, now), atMs, last), { kind: 'used' });
  });

  it('of another form is wrong', () => {
    const wrong = ['', '12345', '1234567', 'abcdef', '١٢٣٤٥٦', ` ${codeAt(secret, now)}`];
    for (const code of wrong) assert.deepEqual(judgeCode(secret, code, atMs, 0), { kind: 'wrong' }, code);
  });
});

describe('base32', () => {
  it('is that of RFC 4648 without padding', () => {
    const known = {
      '': '',
      f: 'MY',
      fo: 'MZXQ',
      foo: 'MZXW6',
      foob: 'MZXW6YQ',
      fooba: 'MZXW6YTB',
      foobar: 'MZXW6YTBOI',
    };
    for (const [text, encoded] of Object.entries(known)) assert.equal(toBase32(Buffer.from(text)), encoded);
  });

  it('comes back from what people type of it, and nothing else is taken', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = toBase32(bytes);
        const typed = text.toLowerCase().replace(/(.{4})/g, '$1 ');
        assert.deepEqual([...(fromBase32(typed) as Buffer)], [...bytes]);
      }),
    );
    for (const text of ['1', 'M', 'MZ1Q', 'MZ', 'MZXW6Y!']) assert.equal(fromBase32(text), undefined, text);
  });

  it('goes into what a QR code says', () => {
    assert.equal(otpauthUri('MZXW6', 'my host'), 'otpauth://totp/LeverEdge:my%20host?secret=MZXW6&issuer=LeverEdge');
  });
});
