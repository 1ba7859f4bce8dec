import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withoutPasswords } from './repository.ts';
import { resticFault } from './restic-fault.ts';

const at = {
  repository: 'rest:http://me:hunter2@nas:8000/r',
  passwordFile: '/p',
  environmentFile: null,
  readBack: true,
};

/** As restic 0.14 and 0.16 print them. */
const cases: [string, string, string, RegExp][] = [
  ['a wrong password', 'Fatal: wrong password or no key found', 'forbidden', /password does not open rest:/],
  [
    'no repository',
    'Fatal: unable to open config file: stat /x/config: no such file or directory\nIs there a repository at the following location?\n/x',
    'not-found',
    /no repository/,
  ],
  [
    'a server that is not there',
    'Fatal: unable to open config file: client.Head: Head "http://me:hunter2@nas:8000/r/config": dial tcp 127.0.0.1:1: connect: connection refused\nIs there a repository at the following location?',
    'unreachable',
    /cannot be reached/,
  ],
  [
    'a server that is gone in the middle',
    'Save(<data/be1628daf4>) returned error, retrying after 552.330144ms: client.Post: Post "http://me:hunter2@nas:8000/r/data/be1628daf4": dial tcp 127.0.0.1:1: connect: connection refused',
    'unreachable',
    /cannot be reached: dial tcp 127\.0\.0\.1:1: connect: connection refused\.$/,
  ],
  [
    'a lock',
    'unable to create lock in backend: repository is already locked exclusively by PID 7 on nas by root (UID 0, GID 0)',
    'locked',
    /PID 7 on nas/,
  ],
  [
    'a lock that went while it was looked at',
    'unable to create lock in backend: Load(<lock/786251a7ae>, 0, 0): <lock/786251a7ae> does not exist',
    'locked',
    /Somebody else works on/,
  ],
  [
    'a full disk',
    'Fatal: unable to save snapshot: write /r/data/af/x: no space left on device',
    'storage-full',
    /no room left/,
  ],
  [
    'a disk that became read-only',
    'unable to create lock in backend: open /r/locks/c7f5a33a26-tmp-1: read-only file system',
    'storage-full',
    /is read-only/,
  ],
  [
    'damaged contents',
    'ignoring error for /sub/f: ciphertext verification failed\nFatal: There were 1 errors',
    'damaged',
    /is damaged: \/sub\/f: ciphertext/,
  ],
  [
    'a missing piece',
    'ignoring error for /f: StreamPack: open /r/data/70/x: no such file or directory',
    'damaged',
    /is damaged/,
  ],
  [
    'another snapshot in its place',
    'Fatal: cannot dump file: path "/x/shared" not found in snapshot',
    'damaged',
    /is damaged: cannot dump file/,
  ],
  ['a snapshot that is gone', 'Fatal: no matching ID found for prefix "abcdef12"', 'not-found', /does not have that/],
  ['what nobody knows', 'Fatal: something new', 'internal', /something new/],
];

describe('what restic says', () => {
  for (const [name, stderr, code, says] of cases)
    it(`is a sentence for ${name}, without the password of the address`, () => {
      const fault = resticFault(at, stderr, 'it ended with 1');
      assert.equal(fault.code, code);
      assert.match(fault.message, says);
      assert.doesNotMatch(fault.message, /hunter2/);
    });

  it('is damage, and no lost connection, where a file of a repository on this machine ends too soon', () => {
    const here = { ...at, repository: '/srv/repository' };
    const ends = 'Load(<data/6d577303aa>, 591, 0) returned error, retrying after 552.330144ms: EOF';
    assert.equal(resticFault(here, ends, '').code, 'damaged');
    assert.equal(resticFault(at, ends, '').code, 'unreachable');
    for (const says of [
      'panic: runtime error: slice bounds out of range\n\ngoroutine 1',
      'Unmarshal: unexpected end of JSON input',
      'config file has zero size, invalid repository?\nmain.open\n\tgithub.com/x.go:1',
    ])
      assert.equal(resticFault(here, says, '').code, 'damaged');
  });

  it('never has any part of a password, whatever characters that has', () => {
    for (const password of ['p@ss', 'a:b@c', '%40', 'x']) {
      const text = withoutPasswords(`rest:http://me:${password}@nas:8000/r and s3:https://nas/bucket/a:b@c`);
      assert.equal(text, 'rest:http://me:…@nas:8000/r and s3:https://nas/bucket/a:b@c');
    }
  });
});
