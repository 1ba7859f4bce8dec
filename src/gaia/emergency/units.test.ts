import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { botUnit, runnerUnit } from './units.ts';

const place = {
  program: ['/usr/bin/env', '/opt/leveredge/bin/gaia.mjs'],
  home: '/opt/leveredge',
  configFile: '/opt/leveredge/gaia/config.yaml',
  tokenFile: '/opt/leveredge/gaia/.telegram_token',
  usersFile: '/opt/leveredge/gaia/.authorized_users',
  secretFile: '/opt/leveredge/gaia/.2fa_secret',
  spool: '/opt/leveredge/shared/emergency',
  closed: ['/opt/leveredge/gaia', '/opt/leveredge/shared/backups', '/srv/config.yaml'],
};
const noSystemd = spawnSync('systemd-analyze', ['--version']).status !== 0 && 'there is no systemd-analyze';

describe('the units of the emergency bot', () => {
  it('give the bot a user of its own, two folders, and no file of root but by systemd', () => {
    const text = botUnit(place);
    assert.match(text, /^User=gaia-bot$/m);
    assert.match(text, /^LoadCredential=telegram_token:\/opt\/leveredge\/gaia\/\.telegram_token$/m);
    assert.match(text, /^ExecStart=.* bot --spool \/opt\/leveredge\/shared\/emergency$/m);
    const [, writable] = /^ReadWritePaths=(.*)$/m.exec(text) ?? [];
    assert.equal(writable, '/opt/leveredge/shared/emergency/requests /opt/leveredge/shared/emergency/bot');
    assert.doesNotMatch(text.replace(/^Condition.*$/gm, ''), /2fa/);
    assert.match(
      text,
      /^InaccessiblePaths=-\/opt\/leveredge\/gaia -\/opt\/leveredge\/shared\/backups -\/srv\/config\.yaml$/m,
    );
  });

  it('hide from the bot nothing that it has to pass through', () => {
    const within = { ...place, program: ['/opt/leveredge/gaia/bin/gaia'] };
    assert.match(botUnit(within), /^InaccessiblePaths=-\/opt\/leveredge\/shared\/backups -\/srv\/config\.yaml$/m);
    assert.doesNotMatch(botUnit({ ...place, closed: [] }), /InaccessiblePaths/);
  });

  it('let nothing be executed that was written, where the program is the executable and compiles nothing', () => {
    assert.doesNotMatch(botUnit(place), /jitless|^MemoryDeny/m);
    const executable = { ...place, program: ['/usr/local/bin/gaia'] };
    assert.match(botUnit(executable), /^Environment=NODE_OPTIONS=--jitless\nMemoryDenyWriteExecute=yes$/m);
  });

  it('have the folders made before the bot begins, for which they could not be opened later', () => {
    assert.match(
      runnerUnit(place),
      /^ExecStartPre=.* runner --prepare --config \/opt\/leveredge\/gaia\/config\.yaml$/m,
    );
    assert.match(botUnit(place), /^After=.* gaia-runner\.service$/m);
  });

  it('are skipped by systemd until the token, the list and the second factor are there', () => {
    for (const text of [botUnit(place), runnerUnit({ ...place, secretFile: '/a b/100%' })])
      assert.deepEqual(
        [...text.matchAll(/^ConditionFileNotEmpty=(.*)$/gm)].map(([, file]) => file),
        [place.tokenFile, place.usersFile, text.includes('100') ? '/a b/100%%' : place.secretFile],
      );
  });

  it('quote what has blanks and per cent signs', () => {
    const odd = { ...place, spool: '/o p/100%', home: '/a b', configFile: '/a b/$c.yaml' };
    assert.ok(botUnit(odd).includes('ReadWritePaths="/o p/100%%/requests" "/o p/100%%/bot"'));
    assert.ok(runnerUnit(odd).includes('Environment="LEVEREDGE_HOME=/a b"'));
    assert.ok(runnerUnit(odd).includes('--config "/a b/$$c.yaml"'));
  });

  it('are taken by systemd, and the bot is as closed as a service can be', { skip: noSystemd }, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'units-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const [bot, runner] = [join(folder, 'gaia-emergency.service'), join(folder, 'gaia-runner.service')];
    // Users and programs that are not here would be complaints about this machine.
    writeFileSync(bot, botUnit(place).replaceAll('=gaia-bot', '=daemon'));
    writeFileSync(runner, runnerUnit(place));
    const { stderr } = spawnSync('systemd-analyze', ['verify', bot, runner], { encoding: 'utf8' });
    assert.doesNotMatch(stderr, /gaia-(emergency|runner)\.service:\d+/);
    const closed = spawnSync('systemd-analyze', ['security', '--offline=yes', '--threshold=20', bot], {
      encoding: 'utf8',
    });
    assert.equal(closed.status, 0, closed.stdout);
  });
});
