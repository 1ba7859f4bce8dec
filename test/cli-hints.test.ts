import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Rendered } from '../src/channels/cli/render.ts';
import { type Bus, inProcess, startBus, temporaryFolder } from './cli-run.fixtures.ts';

/** What the command line says when a name is a little wrong, or a step does nothing. */
describe('hints of the command line', () => {
  let bus: Bus;
  let cli: (...args: string[]) => Promise<Rendered>;
  before(async () => {
    bus = await startBus(temporaryFolder({ after }));
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
});
