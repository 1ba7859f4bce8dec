import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { agentNames } from '../door.ts';
import { agentUnit, agentUnitName, agentUser } from './agent-unit.ts';
import { gaiaRunnerName, gaiaRunnerUnit, gaiaSocketName, gaiaSocketUnit } from './gaia-units.ts';

const home = '/opt/leveredge';
const of = (name: (typeof agentNames)[number], at = home) => ({
  ...{ home: at, node: '/usr/lib/leveredge/node', program: '/usr/lib/leveredge/bin/leveredge.mjs' },
  user: agentUser('leveredge', name),
});
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
if (!hasAnalyze) console.log('NOT RUN: judging the units of agents needs systemd-analyze (Debian: systemd)');

function analyze(name: string, text: string, ...words: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-unit-'));
  try {
    writeFileSync(join(folder, name), text);
    return spawnSync('systemd-analyze', [...words, join(folder, name)], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the unit of an agent', () => {
  for (const name of agentNames) {
    it(`runs ${name} as a user who is neither root nor that of the bus, and writes nothing${name === 'chronos' ? ' but its notes' : ''}`, () => {
      const text = agentUnit('system', name, of(name));
      assert.match(text, new RegExp(`^User=leveredge-(${name}|recovery)$`, 'm'));
      assert.match(text, /^ProtectSystem=strict$/m);
      const writable = text.match(/^(?:ReadWrite|BindPaths|State|Cache|Logs|Runtime)\w*=.*$/gm) ?? [];
      assert.deepEqual(
        writable,
        name === 'chronos' ? ['StateDirectory=leveredge-chronos', 'StateDirectoryMode=0700'] : [],
      );
      assert.match(text, /^KillMode=mixed\nTimeoutStopSec=60$/m);
      assert.match(
        text,
        new RegExp(
          `agent ${name} --home ${home} --token-file ${home}/shared/credentials/${name.toUpperCase()}.token$`,
          'm',
        ),
      );
    });

    it(`exposes ${name} less than 2.0`, { skip: !hasAnalyze }, () => {
      const text = agentUnit('system', name, of(name));
      const { status, stdout, stderr } = analyze(
        agentUnitName(name),
        text,
        'security',
        '--offline=yes',
        '--threshold=20',
      );
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /Overall exposure level for \w+\.service: 1\.\d/);
    });

    it(`is one that systemd understands for ${name}, in both kinds and with odd paths`, { skip: !hasAnalyze }, () => {
      const odd = { ...of(name, '/srv/our 100%h "$HOME"'), node: '/bin/sh' };
      for (const manager of ['system', 'user'] as const) {
        const text = agentUnit(manager, name, odd).replace(/^User=.*$/m, 'User=nobody');
        const { stderr } = analyze(agentUnitName(name), text, 'verify', '--man=no', '--recursive-errors=no');
        assert.doesNotMatch(stderr, /\.service:.*(Unknown|Failed to|Invalid|ignoring)/i);
      }
    });
  }

  it('gives those alone who have GAIA work the right to read what she wrote, but no tokens and keys', () => {
    assert.doesNotMatch(agentUnit('system', 'atlas', of('atlas')), /DAC_READ|GAIA_SOCKET/);
    for (const name of ['chronos', 'hades'] as const) {
      const text = agentUnit('system', name, of(name));
      assert.match(text, /^AmbientCapabilities=CAP_DAC_READ_SEARCH$/m);
      const hidden = /^InaccessiblePaths=(.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
      for (const secret of ['.signing_key', '.identity', '.2fa_secret', '.2fa_backup_codes', '.restic-password'])
        assert.ok(hidden.includes(`-/opt/leveredge/gaia/${secret}`), secret);
      assert.match(text, /^TemporaryFileSystem=\/opt\/leveredge\/shared\/credentials$/m);
    }
  });

  it('of a user says that it is weaker, and keeps nothing from GAIA that she needs', () => {
    const text = agentUnit('user', 'chronos', of('chronos'));
    assert.match(text, /^# Weaker than/m);
    assert.doesNotMatch(
      text,
      /^(User|ProtectSystem|TemporaryFileSystem|RestrictSUIDSGID|RestrictNamespaces|NoNewPriv\w+)=/m,
    );
    assert.match(text, /--token-file \/opt\/leveredge\/shared\/credentials\/CHRONOS\.token$/m);
  });
});

describe('the units of GAIA for agents', () => {
  it('let one user ask, and say why who answers is root', () => {
    const socket = gaiaSocketUnit('leveredge-recovery');
    assert.match(socket, /^SocketMode=0660\nSocketUser=root\nSocketGroup=leveredge-recovery$/m);
    const runner = gaiaRunnerUnit({ home: '/srv/our server', node: '/bin/sh', gaia: '/p/gaia.mjs' });
    assert.match(runner, /^# The one unit of LeverEdge that is root/m);
    assert.match(runner, /^Environment="LEVEREDGE_HOME=\/srv\/our server"$/m);
  });

  it('are ones that systemd understands', { skip: !hasAnalyze }, () => {
    const runner = gaiaRunnerUnit({ home: '/srv/our 100%h "x"', node: '/bin/sh', gaia: '/p/gaia.mjs' });
    for (const [name, text] of [
      [gaiaSocketName, gaiaSocketUnit('root')],
      [gaiaRunnerName, runner],
    ] as const) {
      const { stderr } = analyze(name, text, 'verify', '--man=no', '--recursive-errors=no');
      assert.doesNotMatch(stderr, /leveredge-gaia.*(Unknown|Failed to|Invalid|ignoring)/i);
    }
  });
});
