import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BytePath } from '../byte-path.ts';
import { makeRules } from './rules.ts';
import { anEntry, isDamage } from './tar.fixtures.ts';

type Given = Parameters<typeof anEntry>[0];
const limits = { entries: 100, bytes: 1000 };
const folder = (path: string): Given => ({ path, kind: 'directory' });
const symlink = (path: string, link: string): Given => ({ path, kind: 'symlink', link: link as BytePath });
const hardlink = (path: string, link: string): Given => ({ path, kind: 'hardlink', link: link as BytePath });
const capability = { key: 'SCHILY.xattr.security.capability', value: Buffer.from('x') };

function admitAll(members: readonly Given[], options: Parameters<typeof makeRules>[1] = {}, within = limits): void {
  const rules = makeRules(within, options);
  for (const member of members) rules.admit(anEntry(member));
}

describe('the rules of an archive', () => {
  const fine: [name: string, members: Given[]][] = [
    ['a tree with its top', [folder('.'), folder('a'), { path: 'a/b' }, { path: 'c' }]],
    ['a symlink that leads anywhere: it is only text', [symlink('a', '../../etc/passwd'), symlink('b', '/')]],
    ['a hard link to an earlier file', [{ path: 'a' }, hardlink('b', 'a'), hardlink('c', 'b')]],
    ['a hard link to an earlier symlink', [symlink('a', 'x'), hardlink('b', 'a')]],
    ['names of dots that are names', [folder('...'), { path: '.../..a' }, { path: '.a' }, { path: 'a..' }]],
    [
      'names that differ in case, or in how an accent is written',
      [{ path: 'a' }, { path: 'A' }, { path: '\xc3\xa4' }, { path: 'a\xcc\x88' }],
    ],
    ['a name of 255 bytes', [{ path: 'n'.repeat(255) }]],
    ['a file that runs as its owner, where a list vouches for it', [{ path: 'a', mode: 0o4755 }]],
  ];
  for (const [name, members] of fine) it(`admit ${name}`, () => admitAll(members));

  const refused: [name: string, members: Given[], says: RegExp][] = [
    ['..', [{ path: '..' }], /leads upwards/],
    ['.. in front', [folder('..'), { path: '../a' }], /leads upwards/],
    ['.. within', [folder('a'), { path: 'a/../b' }], /leads upwards/],
    ['.. at the end', [folder('a'), folder('a/..')], /leads upwards/],
    ['. within', [folder('a'), { path: 'a/./b' }], /simplest form/],
    ['two slashes', [folder('a'), { path: 'a//b' }], /simplest form/],
    ['a slash behind a file', [{ path: 'a/' }], /simplest form/],
    ['no path at all', [folder('')], /simplest form/],
    ['an absolute path', [{ path: '/etc/passwd' }], /absolute/],
    ['a NUL', [{ path: 'a\0b' }], /NUL/],
    ['a name of 256 bytes', [{ path: 'n'.repeat(256) }], /256 bytes/],
    ['a path of 4,096 bytes', [{ path: `${'n/'.repeat(2047)}nn` }], /4096 bytes/],
    ['a file without its folder', [{ path: 'a/b' }], /folder it lies in is not/],
    ['a file twice', [{ path: 'a' }, { path: 'a' }], /twice/],
    ['a folder twice', [folder('a'), folder('a')], /twice/],
    ['a symlink in the place of a folder', [folder('a'), symlink('a', '/etc')], /twice/],
    ['a folder in the place of a symlink', [symlink('a', '/etc'), folder('a')], /twice/],
    ['a file through a symlink', [symlink('a', '/etc'), { path: 'a/passwd' }], /below a symlink/],
    [
      'a file through another name of a symlink',
      [symlink('a', '/etc'), hardlink('b', 'a'), { path: 'b/c' }],
      /below a symlink/,
    ],
    ['a file below a file', [{ path: 'a' }, { path: 'a/b' }], /below a file/],
    ['a hard link to nothing in it', [hardlink('b', 'a')], /hard link to something/],
    ['a hard link to what comes later', [hardlink('b', 'a'), { path: 'a' }], /hard link to something/],
    ['a hard link to itself', [hardlink('a', 'a')], /hard link to something/],
    ['a hard link to a folder', [folder('a'), hardlink('b', 'a')], /hard link to something/],
    ['a hard link out of it', [hardlink('b', '../../etc/shadow')], /leads upwards/],
    ['an absolute hard link', [hardlink('b', '/etc/shadow')], /absolute/],
    ['a symlink with a NUL', [symlink('a', 'b\0c')], /NUL/],
    ['a symlink with 4,096 bytes', [symlink('a', 'n'.repeat(4096))], /4096 bytes/],
    ['a top that is a symlink', [symlink('.', '/etc')], /no folder/],
    ['a top that is a file', [{ path: '.' }], /no folder/],
    [
      'more bytes than promised',
      [
        { path: 'a', size: 600 },
        { path: 'b', size: 401 },
      ],
      /more than the 1000 bytes/,
    ],
    [
      'more members than promised',
      Array.from({ length: 101 }, (_, n) => ({ path: `${n}` })),
      /more than the 100 members/,
    ],
  ];
  for (const [name, members, says] of refused)
    it(`refuse ${name}`, () => {
      admitAll(members.slice(0, -1).filter(({ path }) => path !== '..' && !says.test('hard link to something')));
      assert.throws(() => admitAll(members), isDamage(says));
      // Folders that are made as needed open no other way.
      if (!/folder it lies in/.test(String(says)))
        assert.throws(() => admitAll(members, { implicitParents: true }), isDamage(says));
    });

  it('make the folders that older archives do not name, and let them be named later', () => {
    admitAll([{ path: 'a/b/c' }, { path: 'a/b/d' }, folder('a/b'), folder('a')], { implicitParents: true });
    const old = { implicitParents: true };
    assert.throws(() => admitAll([{ path: 'a/b/c' }, symlink('a/b', '/etc')], old), isDamage(/twice/));
    assert.throws(() => admitAll([{ path: 'a/b/c' }, { path: 'a' }], old), isDamage(/twice/));
    assert.throws(() => admitAll([{ path: 'a/b' }, folder('a'), folder('a')], old), isDamage(/twice/));
  });

  it('count the folders that are made, so that one long path is no way around the limit', () => {
    const deep = { path: `${'n/'.repeat(500)}a` };
    assert.throws(() => admitAll([deep], { implicitParents: true }), isDamage(/more than the 100 members/));
  });

  it('refuse what runs with other rights where nothing vouches for it', () => {
    const unsigned = { setuid: 'refused' } as const;
    const setgid = folder('a');
    admitAll(
      [
        { ...setgid, mode: 0o2775 },
        { path: 'a/b', mode: 0o755 },
      ],
      unsigned,
    );
    for (const member of [{ mode: 0o4755 }, { mode: 0o2755 }, { attributes: [capability] }])
      assert.throws(() => admitAll([{ path: 'a', ...member }], unsigned), isDamage(/nothing vouches/));
    admitAll([{ path: 'a', mode: 0o4755, attributes: [capability] }]);
  });

  it('name the member', () => {
    assert.throws(
      () => admitAll([{ path: 'a\xff' }, { path: 'a\xff' }]),
      (error) => isDamage(/^a\\xff: /)(error) && (error as { extra: { member: string } }).extra.member === 'a\\xff',
    );
  });
});
