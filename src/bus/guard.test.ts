import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLoopback, makeGuard, requireLoopback } from './guard.ts';

describe('loopback', () => {
  it('is 127.0.0.0/8, ::1 and localhost, and nothing that only looks like it', () => {
    for (const host of ['127.0.0.1', '127.255.255.254', '::1', 'localhost']) assert.ok(isLoopback(host), host);
    for (const host of [
      '0.0.0.0',
      '::',
      '127.0.0.1.example.org',
      '127.1',
      '128.0.0.1',
      'localhost.',
      '',
      '::ffff:10.0.0.1',
    ])
      assert.ok(!isLoopback(host), host);
    assert.throws(() => requireLoopback('0.0.0.0'), /no tokens/);
  });
});

describe('the guard', () => {
  const guard = makeGuard(['Bus.Example.org']);
  const passes: Record<string, string>[] = [
    { host: 'localhost' },
    { host: 'localhost:1' },
    { host: '[::1]:8099' },
    { host: 'bus.example.ORG:443', origin: 'https://bus.example.org' },
    { host: 'localhost:80', origin: 'http://localhost' },
    { host: 'localhost:8099', origin: 'http://LOCALHOST:8099' },
    { host: 'localhost', 'sec-fetch-site': 'same-origin' },
  ];
  for (const headers of passes)
    it(`lets ${JSON.stringify(headers)} pass`, () => assert.equal(guard(headers), undefined));

  const refuses: Record<string, string>[] = [
    { host: '' },
    { host: 'example.org' },
    { host: 'localhost:8099:1' },
    { host: 'user@localhost' },
    { host: 'localhost/x' },
    { host: 'localhost', origin: 'null' },
    { host: 'localhost', origin: '' },
    { host: 'localhost:8099', origin: 'http://localhost' },
    { host: 'localhost:8099', origin: 'http://127.0.0.1:8099' },
    { host: 'localhost:8099', origin: 'ftp://localhost:8099' },
    { host: 'localhost:8099', origin: 'http://localhost:8099.evil.example' },
    { host: 'localhost', 'sec-fetch-site': 'cross-site' },
    { host: 'localhost', authorization: 'Bearer x' },
  ];
  for (const headers of refuses)
    it(`refuses ${JSON.stringify(headers)}`, () => assert.equal(guard(headers)?.code, 'forbidden'));

  it('takes a request without a Host for a broken one', () => assert.equal(guard({})?.code, 'malformed'));

  it('never repeats a token', () => {
    assert.ok(!JSON.stringify(guard({ host: 'localhost', authorization: 'Bearer sesame' })).includes('sesame'));
  });
});
