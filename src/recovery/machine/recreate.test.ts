import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseMachineFacts, userWords } from './recreate.ts';

const user = {
  ...{ name: 'leveredge-atlas', uid: 997, gid: 995, group: 'leveredge-atlas' },
  ...{ home: '/opt/leveredge', shell: '/usr/sbin/nologin', groups: [], linger: false },
};

describe('a user who is made again', () => {
  it('has its numbers, and as a service makes no home in the place of what is restored', () => {
    const words = userWords(user, false);
    assert.deepEqual(words, [
      ...['--system', '--uid', '997', '--gid', '995', '--home-dir', '/opt/leveredge'],
      ...['--no-create-home', '--shell', '/usr/sbin/nologin', 'leveredge-atlas'],
    ]);
  });

  it('gets a home as a person, unless there is one', () => {
    const person = { ...user, name: 'owner', uid: 1001, home: '/home/.../owner', shell: '/bin/sh' };
    assert.ok(userWords(person, false).includes('--create-home'));
    assert.ok(userWords(person, true).includes('--no-create-home'));
    assert.ok(!userWords(person, false).includes('--system'));
  });

  it('is refused where a name could be an option or a path', () => {
    const facts = { format: 'leveredge-machine/1', host: {}, units: [], crontabs: [], notes: [] };
    const parse = (users: unknown[]) => parseMachineFacts(Buffer.from(JSON.stringify({ ...facts, users })));
    assert.equal(parse([user]).users.length, 1);
    for (const name of ['--root', '../x', 'a b', ''])
      assert.throws(() => parse([{ ...user, name }]), { code: 'damaged' }, name);
    assert.throws(() => parse([{ ...user, uid: 0 }]), { code: 'damaged' });
  });
});
