import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { urlOf } from './url.ts';

describe('the URL of a server on this machine', () => {
  it('is one that can be called', () => {
    for (const [host, url] of [
      ['127.0.0.1', 'http://127.0.0.1:1'],
      ['10.0.0.1', 'http://10.0.0.1:1'],
      ['::1', 'http://[::1]:1'],
      ['0.0.0.0', 'http://127.0.0.1:1'],
      ['::', 'http://[::1]:1'],
    ] as const)
      assert.equal(urlOf(host, 1), url);
  });
});
