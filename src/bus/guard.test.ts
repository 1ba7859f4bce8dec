import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isLoopback, makeGuard, requireProtection } from './guard.ts';

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
    for (const host of ['0.0.0.0', '10.0.0.1', '::'])
      assert.throws(() => requireProtection({ host, auth: 'loopback' }), /without tokens/);
    requireProtection({ host: '0.0.0.0', auth: 'required' });
    requireProtection({ host: '127.0.0.1', auth: 'loopback' });
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
    { host: 'localhost', authorization: 'Bearer x' },
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
    { host: 'localhost:8099', 'sec-fetch-site': 'same-site' },
    { host: '10.0.0.1:8099' },
  ];
  for (const headers of refuses)
    it(`refuses ${JSON.stringify(headers)}`, () => assert.equal(guard(headers)?.code, 'forbidden'));

  it('takes a request without a Host for a broken one', () => assert.equal(guard({})?.code, 'malformed'));

  it('of a bus that other machines reach knows every address, and no further name', () => {
    const outer = makeGuard(['bus.example.org'], true);
    for (const host of ['10.0.0.1:8099', '172.17.0.1', '[2001:db8::1]:8099', 'bus.example.org', 'localhost'])
      assert.equal(outer({ host }), undefined, host);
    for (const host of ['example.org', '10.0.0.1.example.org', '10.0.0.256', '[::1'])
      assert.equal(outer({ host })?.code, 'forbidden', host);
    assert.equal(outer({ host: '10.0.0.1', origin: 'http://evil.example' })?.code, 'forbidden');
  });
});
