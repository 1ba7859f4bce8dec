import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { busUnit, busUnitName } from './bus-unit.ts';

const place = {
  home: '/opt/leveredge',
  node: '/usr/lib/leveredge/node',
  program: '/usr/lib/leveredge/bin/leveredge.mjs',
  user: 'leveredge',
};
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasAnalyze) console.log('NOT RUN: judging the unit of the bus needs systemd-analyze (Debian: systemd)');

/** What systemd-analyze says of a unit with this text. */
function analyze(text: string, ...words: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-unit-'));
  try {
    const file = join(folder, busUnitName);
    writeFileSync(file, text);
    return spawnSync('systemd-analyze', [...words, file], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the unit of the bus', () => {
  it('runs Node with the program and the home, by absolute paths, as its user', () => {
    const text = busUnit('system', place);
    assert.match(text, /^User=leveredge$/m);
    assert.match(
      text,
      /^ExecStart=\/usr\/lib\/leveredge\/node \/usr\/lib\/leveredge\/bin\/leveredge\.mjs bus --home \/opt\/leveredge$/m,
    );
  });

  it('may write to two folders of the home, and to nothing else', () => {
    const text = busUnit('system', place);
    assert.match(text, /^ProtectSystem=strict$/m);
    assert.deepEqual(
      [...text.matchAll(/^(?:ReadWrite|Bind|State|Cache|Logs|Runtime)\w+=(.*)$/gm)].map(([, paths]) => paths),
      ['/opt/leveredge/control-plane/event-bus /opt/leveredge/shared/credentials'],
    );
  });

  for (const home of [place.home, '/home/.../le'])
    it(`is exposed less than 2.0 for the home ${home}`, { skip: !hasAnalyze }, () => {
      const text = busUnit('system', { ...place, home });
      const { status, stdout, stderr } = analyze(text, 'security', '--offline=yes', '--threshold=20');
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /Overall exposure level for event-bus\.service: 1\.\d/);
    });

  it('sees people’s folders only where it must', () => {
    assert.match(busUnit('system', place), /^ProtectHome=yes$/m);
    assert.match(busUnit('system', { ...place, home: '/home/.../le' }), /^ProtectHome=read-only$/m);
  });

  for (const [what, home, word] of [
    ['a blank', '/srv/our server', '"/srv/our server"'],
    ['a specifier', '/srv/100%h', '/srv/100%%h'],
    ['a variable', '/srv/$HOME', '/srv/$$HOME'],
    ['quotes', '/srv/a"b\\c', '"/srv/a\\"b\\\\c"'],
    ['an umlaut', '/srv/büro', '"/srv/büro"'],
  ] as const)
    it(`takes ${what} in a path as it is`, () => {
      assert.ok(busUnit('system', { ...place, home }).includes(`bus --home ${word}\n`));
    });

  it('is one that systemd understands, in both kinds and with odd paths', { skip: !hasAnalyze }, () => {
    const real = { ...place, node: '/bin/sh', home: '/srv/our 100%h "$HOME"' };
    for (const text of [busUnit('system', real).replaceAll('User=leveredge', 'User=nobody'), busUnit('user', real)]) {
      const { stderr } = analyze(text, 'verify', '--man=no', '--recursive-errors=no');
      assert.doesNotMatch(stderr, /event-bus\.service:.*(Unknown|Failed to|Invalid|ignoring)/i);
    }
  });

  it('of a user says that it is weaker, and claims no protection that a user’s systemd does not give', () => {
    const text = busUnit('user', place);
    assert.match(text, /^# Weaker than/m);
    assert.doesNotMatch(text, /^(User|ProtectSystem|PrivateTmp|CapabilityBoundingSet)=/m);
  });
});
