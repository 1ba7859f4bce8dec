import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytePath, bytePathOf } from '../byte-path.ts';
import { exactPattern } from './pattern.ts';

describe('a pattern of restic for one path', () => {
  const cases: [string, string | number[], string, string][] = [
    ['a plain name', 'a/b', '/r/a/b', '/r/a/b'],
    ['the root itself', '', '/r', '/r'],
    ['wildcards', 'x[z]*?\\', '/r/x\\[z\\]\\*\\?\\\\', '/r/x\\[z\\]\\*\\?\\\\'],
    ['a dollar', '$HOME', '/r/$HOME', '/r/$$HOME'],
    ['blanks and line ends', ' a\nb ', '/r/ a?b?', '/r/ a?b?'],
    ['bytes that are no UTF-8', [0xc3, 0xa9, 0xff, 0xe2, 0x82, 0x62], '/r/é???b', '/r/é???b'],
  ];
  for (const [name, path, onLine, inFile] of cases)
    it(`says ${name}`, () => {
      const given = typeof path === 'string' ? bytePathOf(path) : bytePath(Buffer.from(path));
      assert.equal(exactPattern('/r', given, { inFile: false }), onLine);
      assert.equal(exactPattern('/r', given, { inFile: true }), inFile);
    });
});
