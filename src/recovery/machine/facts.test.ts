import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { machineFacts, runsAsIn } from './facts.ts';

describe('what a backup knows of its machine', () => {
  for (const [what, shown, expected] of [
    ['a service with a user of its own', 'User=leveredge-atlas\nDynamicUser=no\n', 'leveredge-atlas'],
    ['a service of a number', 'User=997\nDynamicUser=no\n', '997'],
    ['a service of root', 'User=\nDynamicUser=no\n', undefined],
    ['a service that says root', 'User=root\nDynamicUser=no\n', undefined],
    ['a service whose user systemd makes', 'User=x\nDynamicUser=yes\n', undefined],
    ['a socket, which has no user', 'FragmentPath=/etc/systemd/system/x.socket\n', undefined],
    // systemd prints it in an order of its own, and other properties end alike.
    ['a unit with a similar property', 'DynamicUser=no\nSocketUser=other\nUser=mine\n', 'mine'],
  ] as const)
    it(`has the user of ${what}: ${expected ?? 'none'}`, () => {
      assert.equal(runsAsIn(shown), expected);
    });

  it('never fails where nothing can be asked', async () => {
    const trees = [{ name: 'dev', root: '/nowhere', exclude: [], mounts: { include: [], exclude: [] } }];
    const facts = await machineFacts(
      { name: 'dev', trees, units: [{ name: 'x.service', user: null }], databases: [], health: 'none' },
      0,
    );
    assert.deepEqual(facts.users, []);
    assert.equal(facts.units.length + facts.notes.length, 1);
  });
});
