import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge } from './judge.ts';
import type { Entry, Found, Server, Step } from './step.ts';
import { unitHead } from './unit-text.ts';

const busUser = 900;
const folder = (mode: number, entries: readonly Entry[] = [], uid = busUser): Found => ({
  ...{ kind: 'folder', mode: 0o040000 | mode, uid, entries, real: '/home' },
});
const file = (text = '', real = '/x'): Found => ({ kind: 'file', mode: 0o100644, uid: 0, text, real });
const entry = (name: string, mode: number, uid = busUser): Entry => ({
  name,
  isFile: true,
  mode: 0o100000 | mode,
  uid,
});

/** A machine with these things on it, where the user `leveredge` is there. */
function server(found: Readonly<Record<string, Found>>, more: Partial<Server> = {}): Server {
  return {
    isRoot: true,
    hasSystemd: true,
    node: '/node',
    programs: { leveredge: '/p/leveredge.mjs', gaia: '/p/gaia.mjs' },
    units: { system: '/etc/systemd/system', user: '/u' },
    links: '/usr/local/bin',
    look: (path) => found[path] ?? { kind: 'nothing' },
    uidOf: (user) => (user === 'leveredge' ? busUser : undefined),
    barred: () => undefined,
    unitState: () => ({ isEnabled: false, runs: false, isStale: false, exit: undefined }),
    emergencyBot: () => undefined,
    make: () => assert.fail('judging makes nothing'),
    ...more,
  };
}

const secret: Step = {
  ...{ kind: 'folder', path: '/c', mode: 0o700, owner: 'leveredge', isPrivate: true, secrets: 'all' },
};
const page: Step = { kind: 'file', path: '/f', mode: 0o644, text: 'ours' };
const link: Step = { kind: 'link', path: '/usr/local/bin/gaia', to: '/p/gaia.mjs' };

const cases: readonly [says: string, step: Step, found: Record<string, Found>, expected: string | RegExp][] = [
  ['a folder that is missing', secret, {}, 'missing'],
  ['a folder as it should be', secret, { '/c': folder(0o700, [entry('owner.token', 0o600)]) }, 'there'],
  ['a public key that all may read', secret, { '/c': folder(0o700, [entry('audit.pub', 0o644)]) }, 'there'],
  ['a secret folder that others may enter', secret, { '/c': folder(0o755) }, /mode 755.*chmod 700 \/c/],
  [
    'a secret that others may read',
    secret,
    { '/c': folder(0o700, [entry('owner.token', 0o640)]) },
    /owner\.token can be read by others.*chmod 600 \/c\/owner\.token/,
  ],
  ['a folder of somebody else', secret, { '/c': folder(0o700, [], 0) }, /chown leveredge: \/c"/],
  [
    'a file of somebody else in it',
    secret,
    { '/c': folder(0o700, [entry('owner.token', 0o600, 0)]) },
    /chown leveredge: \/c\/owner\.token"/,
  ],
  [
    'a token that root made for another program',
    secret,
    { '/c': folder(0o700, [entry('GAIA.token', 0o600, 0)]) },
    'there',
  ],
  ['the key of GAIA, who is root', secret, { '/c': folder(0o700, [entry('gaia-confirms.pub', 0o644, 0)]) }, 'there'],
  ['a file where a folder should be', secret, { '/c': file() }, /is a file, and no folder.*mv \/c ELSEWHERE/],
  ['a link to nothing', secret, { '/c': { kind: 'dangling' } }, /leads nowhere/],
  ['a folder that cannot be looked at', secret, { '/c': { kind: 'hidden', code: 'EACCES' } }, /EACCES/],
  [
    'a key of GAIA that others may read',
    { kind: 'folder', path: '/g', mode: 0o700, secrets: 'hidden' },
    { '/g': folder(0o755, [entry('config.yaml', 0o644), entry('.signing_key', 0o644)]) },
    /\.signing_key can be read by others/,
  ],
  [
    'a folder where everyone may write',
    { kind: 'folder', path: '/g', mode: 0o755 },
    { '/g': folder(0o777) },
    /chmod o-w \/g/,
  ],
  ['a file that is missing', page, {}, 'missing'],
  ['a page that somebody rewrote', page, { '/f': file('theirs') }, 'there'],
  ['a folder where a file should be', page, { '/f': folder(0o755) }, /is a folder, and no file/],
  [
    'a unit that is another',
    { ...page, mustMatch: true },
    { '/f': file('theirs') },
    /it is not one that init wrote, and stays as it is/,
  ],
  ['a link that is missing', link, { '/p/gaia.mjs': file('', '/p/gaia.mjs') }, 'missing'],
  [
    'a link of ours, also by another name',
    link,
    { '/p/gaia.mjs': file('', '/real/gaia.mjs'), '/usr/local/bin/gaia': file('', '/real/gaia.mjs') },
    'there',
  ],
  [
    'another program by its name',
    link,
    { '/p/gaia.mjs': file('', '/p/gaia.mjs'), '/usr/local/bin/gaia': file('', '/opt/else') },
    /something else \(\/opt\/else\), and is left alone/,
  ],
  [
    'the executable that bootstrap.sh has left',
    link,
    { '/p/gaia.mjs': file('', '/p/gaia.mjs'), '/usr/local/bin/gaia': file('', '/usr/local/bin/gaia') },
    /"there","remark":"it is a program of its own/,
  ],
  ['a link to a program that is gone', link, { '/usr/local/bin/gaia': { kind: 'dangling' } }, /something else/],
];

describe('what is there, as init finds it', () => {
  for (const [says, step, found, expected] of cases)
    it(`tells ${says}`, () => {
      const verdict = judge(step, server(found));
      if (typeof expected === 'string') assert.deepEqual(verdict, { kind: expected });
      else assert.match(JSON.stringify(verdict), expected);
    });

  it('tells what keeps the user from the program', () => {
    const step: Step = { kind: 'reach', user: 'leveredge', paths: ['/node', '/closed/p'] };
    assert.equal(judge(step, server({})).kind, 'there');
    const verdict = judge(step, server({}, { barred: (path) => (path === '/closed/p' ? '/closed' : undefined) }));
    assert.match(JSON.stringify(verdict), /cannot come to \/closed\/p: \/closed keeps it out.*chmod o\+x \/closed/);
  });

  const bus: Step = {
    ...{ kind: 'service', unit: 'event-bus.service', manager: 'system', url: 'http://127.0.0.1:8099', heard: 'health' },
  };
  const running = { isEnabled: true, runs: true, isStale: false, exit: undefined };

  it('starts a unit only where systemd runs, and once', () => {
    assert.equal(judge(bus, server({})).kind, 'missing');
    assert.equal(judge(bus, server({}, { unitState: () => running })).kind, 'there');
    assert.equal(judge(bus, server({}, { unitState: () => ({ ...running, isEnabled: false }) })).kind, 'missing');
    assert.equal(judge(bus, server({}, { hasSystemd: false })).kind, 'wrong');
  });

  it('leaves a unit alone that is not set up, and names what sets it up once', () => {
    const needs = ['/s/token', '/s/person'].map((path) => ({ path, todo: 'leveredge telegram setup' }));
    const bot: Step = { ...(bus as Extract<Step, { kind: 'service' }>), unit: 'b.service', heard: 'process', needs };
    const notYet = { kind: 'not yet', says: 'it is not set up', todo: 'leveredge telegram setup' };
    assert.deepEqual(judge(bot, server({})), notYet);
    assert.deepEqual(judge(bot, server({ '/s/token': file('x'), '/s/person': file('') })), notYet, 'an empty one');
    const both = { '/s/token': file('x'), '/s/person': file('x') };
    assert.equal(judge(bot, server(both)).kind, 'missing');
    assert.equal(judge(bot, server(both, { unitState: () => running })).kind, 'there');
  });

  it('starts no unit of this name that somebody else wrote', () => {
    const at = '/etc/systemd/system/event-bus.service';
    assert.match(JSON.stringify(judge(bus, server({ [at]: file('[Service]') }))), /not one that init wrote/);
    assert.equal(judge(bus, server({ [at]: file('[Service]') }, { unitState: () => running })).kind, 'there');
    for (const head of [unitHead, '# Printed by gaia bot --unit.'])
      assert.equal(judge(bus, server({ [at]: file(`${head}\n# ours, and changed`) })).kind, 'missing');
  });
});
