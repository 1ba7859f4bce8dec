import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { telegramFiles, telegramUnit, telegramUnitName, telegramUser } from './telegram-unit.ts';

const home = '/opt/leveredge';
const place = {
  ...{ home, node: '/usr/lib/leveredge/node', program: '/usr/lib/leveredge/bin/leveredge.mjs' },
  user: telegramUser('leveredge'),
};
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasAnalyze) console.log('NOT RUN: judging the unit of the control bot needs systemd-analyze (Debian: systemd)');

function analyze(text: string, ...words: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-unit-'));
  try {
    writeFileSync(join(folder, telegramUnitName), text);
    return spawnSync('systemd-analyze', [...words, join(folder, telegramUnitName)], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the unit of the control bot', () => {
  it('runs as a user of its own, who writes to one folder and is handed what it reads', () => {
    const text = telegramUnit('system', place);
    assert.match(text, /^User=leveredge-telegram$/m);
    assert.match(text, /^ReadWritePaths=\/opt\/leveredge\/control-plane\/telegram$/m);
    assert.doesNotMatch(text, /^(State|Cache|Logs|Runtime|Bind)\w*=/m);
    const handed = [...text.matchAll(/^LoadCredential=\w+:(.*)$/gm)].map(([, file]) => file);
    assert.deepEqual(handed, telegramFiles(home));
    assert.match(text, /^ExecStart=.* telegram bot --home \/opt\/leveredge$/m);
  });

  for (const manager of ['system', 'user'] as const)
    it(`is skipped by the ${manager}’s systemd until it is set up`, () => {
      const text = telegramUnit(manager, { ...place, home: '/srv/100% ours' });
      const asked = [...text.matchAll(/^ConditionFileNotEmpty=(.*)$/gm)].map(([, file]) => file);
      assert.deepEqual(
        asked,
        telegramFiles('/srv/100% ours').map((file) => file.replace('%', '%%')),
      );
      assert.match(text, /^RestartPreventExitStatus=2 3 5$/m);
    });

  it('is exposed less than 2.0', { skip: !hasAnalyze }, () => {
    const { status, stdout, stderr } = analyze(
      telegramUnit('system', place),
      'security',
      '--offline=yes',
      '--threshold=20',
    );
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /Overall exposure level for leveredge-telegram\.service: 1\.\d/);
  });

  it('is one that systemd understands, in both kinds and with odd paths', { skip: !hasAnalyze }, () => {
    const real = { ...place, node: '/bin/sh', home: '/srv/our 100%h "$HOME"' };
    const system = telegramUnit('system', real).replaceAll('=leveredge-telegram', '=nobody');
    for (const text of [system, telegramUnit('user', real)]) {
      const { stderr } = analyze(text, 'verify', '--man=no', '--recursive-errors=no');
      assert.doesNotMatch(stderr, /leveredge-telegram\.service:.*(Unknown|Failed to|Invalid|ignoring)/i);
    }
  });
});
