import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytePathOf } from '../byte-path.ts';
import { leftOutBy } from './left-out.ts';

describe('what is excluded', () => {
  const cases: [pattern: string, takes: string[], leaves: string[]][] = [
    ['cache', ['cache'], ['cache2', 'a/cache', 'cach']],
    ['./n8n/tmp/', ['n8n/tmp'], ['n8n', 'n8n/tmpx']],
    ['*.log', ['a.log'], ['b/a.log', 'a.logs']],
    ['**/*.log', ['a.log', 'b/c/a.log'], ['log']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a']],
    ['a?c', ['abc'], ['ac', 'a/c']],
    ['n+(1).*', ['n+(1).txt'], ['nn1.txt']],
    ['ä*', ['äb'], ['ab']],
  ];
  for (const [pattern, takes, leaves] of cases)
    it(`by ${JSON.stringify(pattern)} is what it names`, () => {
      const excluded = leftOutBy([pattern]);
      for (const path of takes) assert.ok(excluded(bytePathOf(path)), path);
      for (const path of leaves) assert.ok(!excluded(bytePathOf(path)), path);
    });
});
