import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Door } from '../door.ts';
import type { Server, Step, UnitState } from '../init/step.ts';
import { unitHead } from '../init/unit-text.ts';
import type { Installation } from './installation.ts';
import { checkService } from './services.ts';

const fine: UnitState = { isEnabled: true, runs: true, isStale: false, exit: undefined };
const installed: Installation = {
  home: '/opt/le',
  units: 'system',
  user: 'leveredge',
  agents: ['hades'],
  bots: true,
  linked: true,
};
const step: Extract<Step, { kind: 'service' }> = {
  ...{
    kind: 'service',
    unit: 'hades.service',
    manager: 'system',
    url: 'http://127.0.0.1:8099',
    heard: { agent: 'HADES' },
  },
};

function look(state: Partial<UnitState>, { user = 'root', text = unitHead, hasSystemd = true } = {}) {
  const server = {
    hasSystemd,
    units: { system: '/etc/systemd/system' },
    look: () => ({ kind: 'file', mode: 0o644, uid: 0, text, real: '/x' }),
    unitState: () => ({ ...fine, ...state }),
  } as unknown as Server;
  return checkService(step, { user, program: 'leveredge' } as unknown as Door, installed, server);
}

describe('what doctor says of a unit', () => {
  for (const [what, state, says, todo] of [
    [
      'that systemd has read an older one',
      { isStale: true },
      /changed since/,
      ['systemctl daemon-reload', 'systemctl restart hades.service'],
    ],
    [
      'that it does not start with the machine',
      { isEnabled: false },
      /does not start with/,
      ['systemctl enable hades.service'],
    ],
    ['that it was stopped', { runs: false }, /does not run/, ['systemctl start hades.service']],
    [
      'that it was never started',
      { runs: false, isEnabled: false },
      /does not run/,
      ['systemctl enable hades.service', 'systemctl start hades.service'],
    ],
    [
      'that it failed',
      { runs: false, exit: 7 },
      /has failed \(exit 7\)/,
      [
        'journalctl -u hades.service -n 50 --no-pager',
        'systemctl reset-failed hades.service && systemctl restart hades.service',
      ],
    ],
    [
      'that its token is refused',
      { runs: false, exit: 3 },
      /the bus refuses its token/,
      [
        'rm /opt/le/shared/credentials/HADES.token',
        'leveredge init --home /opt/le',
        'systemctl reset-failed hades.service && systemctl restart hades.service',
      ],
    ],
  ] as const)
    it(`says ${what}, and the commands that mend it`, () => {
      const finding = look(state);
      assert.equal(finding?.state, 'wrong');
      assert.match(finding?.says ?? '', says);
      assert.deepEqual(finding?.todo?.split('\n'), todo);
    });

  it('has nothing to say of one that runs, and of one that somebody else wrote', () => {
    assert.equal(look({}), undefined);
    assert.equal(look({ runs: false }, { text: '[Service]' }), undefined);
    assert.equal(look({ runs: false }, { hasSystemd: false }), undefined, 'said once, of the bus');
  });

  it('says sudo to whoever is not root', () => {
    assert.equal(look({ runs: false }, { user: 'anna' })?.todo, 'sudo systemctl start hades.service');
  });
});
