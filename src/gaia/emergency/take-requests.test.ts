import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { maxRequestBytes, parseRequest } from './request.ts';
import { dropRequest, takeRequests } from './take-requests.ts';

const request = { id: 'u7', user: 123, sentMs: 1_764_412_345_000, verb: 'restore', target: 'dev' };

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'spool-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  mkdirSync(join(made, 'requests'), { mode: 0o700 });
  return join(made, 'requests');
}

const put = (at: string, name: string, value: unknown) =>
  writeFileSync(join(at, name), typeof value === 'string' ? value : JSON.stringify(value));
const why = (at: string) => takeRequests(at).map((taken) => ('refused' in taken ? taken.refused : 'taken'));

describe('a request', () => {
  const good: Record<string, unknown>[] = [
    request,
    { ...request, verb: 'backup', target: 'control-plane' },
    { id: 'u1', user: 1, sentMs: 0, verb: 'start' },
    { id: 'u1', user: 1, sentMs: 0, verb: 'list', target: null },
    { id: 'u1', user: 1, sentMs: 0, verb: 'cancel', operation: '20261125T081500Z-7KQ4' },
    { id: 'u1', user: 1, sentMs: 0, verb: 'confirm', operation: null, code: '000000' },
    { id: 'u1', user: 1, sentMs: 0, verb: 'confirm', operation: null, code: '7k2qx-m4dpa' },
  ];
  for (const each of good)
    it(`${JSON.stringify(each)} is one`, () => {
      assert.deepEqual(parseRequest(JSON.stringify(each)), each);
    });

  const bad: unknown[] = [
    ...[null, [], 'x', 7, {}],
    { ...request, more: 1 },
    { ...request, code: '000000' },
    { ...request, __proto__: null, constructor: 1 },
    ...['toString', 'constructor', '__proto__', 'run', 'RESTORE', ''].map((verb) => ({ ...request, verb })),
    ...['', '../x', '-x', 'a b', '--yes', 'DEV', 'x'.repeat(64), null, 7, ['dev']].map((target) => ({
      ...request,
      target,
    })),
    ...['7', 'u', 'u-1', 'u1/../u2', 'u1.json', 7].map((id) => ({ ...request, id })),
    ...['123', 0, -1, 1.5, null, 2 ** 60].map((user) => ({ ...request, user })),
    ...['', -1, 1.5, 1e300, null].map((sentMs) => ({ ...request, sentMs })),
    ...['', '12345', '1234567', '12345a', 'AAAAA-AAAAAA', 'UUUUUUUUUU', 123456].map((code) => ({
      ...{ id: 'u1', user: 1, sentMs: 0, verb: 'confirm', operation: null, code },
    })),
    { id: 'u1', user: 1, sentMs: 0, verb: 'confirm', code: '000000' },
    { id: 'u1', user: 1, sentMs: 0, verb: 'cancel', operation: '../../x' },
  ];
  for (const each of bad)
    it(`${JSON.stringify(each)} is none`, () => {
      assert.equal(parseRequest(JSON.stringify(each)), undefined);
    });

  it('is read from any text without a fault', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => parseRequest(text) === undefined || true));
  });
});

describe("the bot's folder", () => {
  it('gives requests in the order of their numbers, and leaves what is being written', (t) => {
    const at = folder(t);
    for (const id of ['u10', 'u9', 'u100']) put(at, `${id}.json`, { ...request, id });
    put(at, '.u11.json.partial', request);
    const taken = takeRequests(at);
    assert.deepEqual(
      taken.map(({ name }) => name),
      ['u9.json', 'u10.json', 'u100.json'],
    );
    for (const { name } of taken) assert.equal(dropRequest(at, name), true);
    assert.deepEqual(takeRequests(at), []);
  });

  it('may hold links, pipes, folders, second names and large files, and none of them is read or followed', (t) => {
    const at = folder(t);
    const outside = join(at, '..', 'secret');
    put(at, '../secret', { ...request, id: 'u1' });
    symlinkSync(outside, join(at, 'u1.json'));
    execFileSync('mkfifo', [join(at, 'u2.json')]);
    mkdirSync(join(at, 'u3.json'));
    linkSync(outside, join(at, 'u4.json'));
    put(at, 'u5.json', `${' '.repeat(maxRequestBytes)}${JSON.stringify({ ...request, id: 'u5' })}`);
    put(at, 'u6.json', { ...request, id: 'u1' });
    put(at, 'anything', request);
    put(at, 'u8.json', '{');
    assert.deepEqual(why(at).sort(), [
      'it has a second name',
      'it is a link',
      'it is no file',
      'it is no file',
      'it is not called as a request is',
      'it is not of the form of a request',
      'it is too large',
      'it names another id than its file',
    ]);
    for (const { name } of takeRequests(at)) assert.equal(dropRequest(at, name), true, name);
    assert.deepEqual(takeRequests(at), []);
    assert.ok(existsSync(outside));
    assert.equal(JSON.parse(readFileSync(outside, 'utf8')).id, 'u1');
  });

  it('is not believed when others can write into it, or when it is a link itself', (t) => {
    const at = folder(t);
    for (const mode of [0o770, 0o707]) {
      chmodSync(at, mode);
      assert.throws(() => takeRequests(at), /Others than its owner can write/);
    }
    chmodSync(at, 0o700);
    symlinkSync(at, join(at, '..', 'link'));
    assert.throws(() => takeRequests(join(at, '..', 'link')), /is no folder/);
  });

  it('does not bring a file of another owner', {
    skip: process.getuid?.() !== 0 && 'only root can give files away',
  }, (t) => {
    const at = folder(t);
    put(at, 'u7.json', request);
    chownSync(at, 65534, 65534);
    assert.deepEqual(why(at), ['it is of another owner than its folder']);
    chownSync(join(at, 'u7.json'), 65534, 65534);
    assert.deepEqual(why(at), ['taken']);
  });

  it('is read in portions', (t) => {
    const at = folder(t);
    for (let n = 0; n < 120; n++) put(at, `u${n}.json`, { ...request, id: `u${n}` });
    assert.equal(takeRequests(at).length, 50);
  });
});
