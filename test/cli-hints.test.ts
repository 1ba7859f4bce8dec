import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Rendered } from '../src/channels/cli/render.ts';
import { type Bus, inProcess, startBus, temporaryFolder } from './cli-run.fixtures.ts';

/** What the command line says when a name is a little wrong, or a step does nothing. */
describe('hints of the command line', () => {
  let bus: Bus;
  let cli: (...args: string[]) => Promise<Rendered>;
  // Made here: what a `before` hands to `after` is done when that `before` ends.
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home);
    cli = inProcess(bus.url);
  });
  after(() => bus.stop());

  it('says of an empty inbox when no subscription names the agent, and whom one may have meant', async () => {
    const wrongCase = await cli('inbox', 'aegis');
    assert.equal(wrongCase.exit, 0);
    assert.match(wrongCase.stderr, /no subscription names that agent\.\nDid you mean AEGIS\?\n$/);
    assert.match((await cli('inbox', 'SOMEBODY')).stderr, /no subscription names that agent\.\nSee who hears what:/);
    assert.equal((await cli('inbox', 'AEGIS')).stderr, 'Nothing in the inbox of AEGIS.\n');
  });

  it('says when an agent acknowledges what it was not owed', async () => {
    const id = (await cli('publish', 'credential_expired')).stdout.trim();
    const stranger = await cli('ack', id, 'NOBODY');
    assert.equal(stranger.exit, 0);
    assert.match(stranger.stderr, /^NOBODY was owed nothing by this event: it was heard by AEGIS, /);
    assert.match((await cli('ack', id, 'Aegis')).stderr, /Did you mean AEGIS\?\n$/);
    assert.equal((await cli('ack', id, 'AEGIS')).stderr, '');
  });

  it('tells an unknown command of subscriptions from an argument too many', async () => {
    const near = await cli('subscriptions', 'lst');
    assert.equal(near.exit, 2);
    assert.match(near.stderr, /^leveredge: unknown command 'lst'\n {2}\(Did you mean list\?\)\n {2}See: leveredge sub/);
    const agent = await cli('subscriptions', 'AEGIS');
    assert.equal(agent.exit, 2);
    assert.match(agent.stderr, /unknown command 'AEGIS'\n {2}Those of one agent: .* --agent AEGIS\n/);
    assert.match((await cli('subscriptions', 'list', 'AEGIS')).stderr, /list takes no "AEGIS"\.\n.* --agent AEGIS\n/);
    assert.equal((await cli('subscriptions')).exit, 0);
  });

  it('says that a subscription is deleted, and how it comes back', async () => {
    await cli('subscriptions', 'add', 'ME', 'x_*');
    await cli('subscriptions', 'delete', 'ME', 'x_*');
    for (const args of [['enable'], ['disable'], ['change', '-p', '1']]) {
      const { exit, stderr } = await cli('subscriptions', ...args, 'ME', 'x_*');
      assert.equal(exit, 5);
      assert.match(
        stderr,
        /of ME to x_\* is deleted since 20.*\n {2}Add it again: leveredge subscriptions add ME 'x_\*'\n/,
      );
    }
    assert.equal((await cli('subscriptions', 'delete', 'ME', 'x_*')).exit, 0, 'deleting is safe to repeat');
    assert.equal((await cli('subscriptions', 'add', 'ME', 'x_*')).exit, 0);
  });

  it('says who asked a question that somebody else wants to take back', async () => {
    const ask = async (source: string) => (await cli('ask', 'q', '-s', source, '--no-wait')).stdout.trim();
    const id = await ask("O'Neill");
    const { exit, stderr } = await cli('cancel', id);
    assert.equal(exit, 2);
    assert.match(stderr, new RegExp(`O'Neill asked this, .*\n {2}As O'Neill: leveredge cancel ${id} --as 'O'`));
    const plain = (await cli('publish', 'plain')).stdout.trim();
    assert.match((await cli('cancel', plain)).stderr, /asks nothing/);
    assert.equal((await cli('cancel', await ask('berta'))).exit, 0, 'the user who asked needs no --as');
  });
});
