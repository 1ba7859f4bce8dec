import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { codesServiceName, codesServiceUnit, codesSocketFile, codesSocketName, codesSocketUnit } from './code-units.ts';

const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasAnalyze) console.log('NOT RUN: judging the units of codes needs systemd-analyze (Debian: systemd)');

describe('the units that judge codes for the control bot', () => {
  it('let one group ask, and judge as root without a network', () => {
    const socket = codesSocketUnit('leveredge-telegram');
    assert.match(socket, /^SocketMode=0660\nSocketUser=root\nSocketGroup=leveredge-telegram$/m);
    assert.ok(socket.includes(`ListenStream=${codesSocketFile}\n`));
    const service = codesServiceUnit({ home: '/srv/our server', node: '/bin/sh', gaia: '/p/gaia.mjs' });
    assert.match(service, /^ExecStart=\/bin\/sh \/p\/gaia\.mjs __code$/m);
    assert.match(service, /^Environment="LEVEREDGE_HOME=\/srv\/our server"$/m);
    assert.match(service, /^PrivateNetwork=yes$/m);
    assert.match(service, /^CapabilityBoundingSet=CAP_DAC_OVERRIDE$/m);
  });

  it('are ones that systemd understands', { skip: !hasAnalyze }, () => {
    const service = codesServiceUnit({ home: '/srv/our 100%h "x"', node: '/bin/sh', gaia: '/p/gaia.mjs' });
    for (const [name, text] of [
      [codesSocketName, codesSocketUnit('root')],
      [codesServiceName, service],
    ] as const) {
      const folder = mkdtempSync(join(tmpdir(), 'leveredge-unit-'));
      try {
        writeFileSync(join(folder, name), text);
        const words = ['verify', '--man=no', '--recursive-errors=no', join(folder, name)];
        const { stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8' });
        assert.doesNotMatch(stderr, /leveredge-codes.*(Unknown|Failed to|Invalid|ignoring)/i);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  });
});
