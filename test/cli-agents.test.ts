import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { displayWidth } from '../src/base/display-width.ts';
import type { Rendered } from '../src/channels/cli/render.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { type Bus, inProcess, startBus, temporaryFolder } from './cli-run.fixtures.ts';

describe('leveredge agents', () => {
  let bus: Bus;
  let client: Client;
  let cli: (...args: string[]) => Promise<Rendered>;
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home);
    client = makeClient({ url: bus.url });
    cli = inProcess(bus.url);
  });
  after(() => bus.stop());

  it('shows who is alive, who stopped and who never was there, and what waits', async () => {
    await client.heartbeat('ADA', { every_seconds: 10, working_on: 'deploy-1' });
    await client.heartbeat('BEA', { stopped: true, working_on: 'deploy-2' });
    for (let n = 0; n < 2; n++) await client.publish({ source_agent: 'ME', action: 'deploy_started' });
    const { exit, stdout } = await cli('agents');
    assert.equal(exit, 0);
    const rows = new Map(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => [line.split('\t')[0], line.split('\t').slice(1)]),
    );
    const [state, seen, waiting, workingOn] = rows.get('ADA') ?? [];
    assert.deepEqual([state, waiting, workingOn], ['alive', '0', 'deploy-1']);
    assert.ok(Date.parse(seen as string) > 0);
    assert.deepEqual([rows.get('BEA')?.[0], rows.get('BEA')?.[3]], ['stopped', '']);
    assert.deepEqual(rows.get('CHRONOS'), ['never heard of', '', '2', '']);
    const { agents, count } = JSON.parse((await cli('agents', '--json')).stdout);
    assert.deepEqual([agents, count], [await client.agents(), agents.length]);
  });

  it('says on a terminal how long ago, within its width', async () => {
    await client.heartbeat('ADA', { every_seconds: 10, working_on: `${'long'.repeat(40)}\u202e` });
    for (const columns of [40, 80]) {
      const { stdout } = await inProcess(bus.url, { is: true, columns })('agents');
      assert.match(stdout, /ADA +alive/);
      assert.match(stdout, /\d s ago/);
      for (const line of stdout.split('\n')) assert.ok(displayWidth(line) <= columns, line);
      assert.ok(!stdout.includes('\u202e'));
    }
  });
});
