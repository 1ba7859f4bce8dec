import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, makeClient } from '../../src/client/client.ts';
import type { Manifest } from '../../src/recovery/archive/manifest.ts';
import { identityOf } from '../../src/recovery/run/live-process.ts';
import { type BusProcess, startBusProcess } from '../bus-server.fixtures.ts';
import { tokenFor } from '../bus-token.fixtures.ts';
import { inProcess, leveredge, start } from '../cli-run.fixtures.ts';
import { leftBehind, makeStand, type Stand } from '../recovery/gaia.fixtures.ts';

/** Enough that a backup takes longer than it takes to stop it in the middle. */
const manyBytes = 12 * 1024 * 1024;

type Scene = { stand: Stand; bus: BusProcess; client: Client };

async function scene(t: TestContext, yaml?: string): Promise<Scene> {
  const stand = makeStand(t);
  const bus = await startBusProcess({ home: stand.home, ...(yaml === undefined ? {} : { yaml }) }, t);
  return { stand, bus, client: makeClient({ url: bus.url }) };
}

/** CHRONOS as a process of its own, once it hears; on SIGKILL its test ends it. */
async function chronos(t: TestContext, { stand, bus }: Scene, ...flags: string[]) {
  const where = ['--home', stand.home, '--url', bus.url, '--port', '0', '--lease', '3', '--json'];
  const agent = start(['agent', 'chronos', ...where, ...flags]);
  t.after(() => agent.child.kill('SIGKILL'));
  const [line] = await agent.says('stdout', /^\{.*\}$/);
  return { ...agent, said: JSON.parse(line) as { agent: string; bus: string; health: string | null; pid: number } };
}

async function until<T>(what: () => T | undefined | false | Promise<T | undefined | false>, everyMs = 20): Promise<T> {
  for (let n = 0; n < 40_000 / everyMs; n++) {
    const found = await what();
    if (found !== undefined && found !== false) return found;
    await pause(everyMs);
  }
  assert.fail(`never came to be: ${what}`);
}

const deploy = (client: Client, id: string, target = 'dev', more = {}) =>
  client.publish({ source_agent: 'HEPHAESTUS', action: 'deploy_started', target, id, ...more });

const settled = (client: Client, id: string, status = 'acknowledged') =>
  until(async () => (await client.event(id)).status === status);

/** What the bus has of backups, oldest first; whoever says it. */
async function toldOf(client: Client) {
  const { events } = await client.events({ limit: 1000 });
  return events.filter(({ action }) => action.startsWith('backup_')).reverse();
}

function manifestsOf({ backups }: Stand, target = 'dev'): Manifest[] {
  return readdirSync(join(backups, target))
    .filter((name) => name.endsWith('.manifest.json') && !name.startsWith('.'))
    .map((name) => JSON.parse(readFileSync(join(backups, target, name), 'utf8')));
}

const causesOf = (stand: Stand) => manifestsOf(stand).map(({ cause }) => cause);

/** The process of GAIA that works on the backups now. */
function gaiaAtWork({ backups }: Stand): number | undefined {
  try {
    return JSON.parse(readFileSync(join(backups, '.gaia/lock.json'), 'utf8')).pid;
  } catch {
    return undefined; // Not begun, or half written.
  }
}

/** A deployment is announced, and GAIA stands still in the middle of the backup. */
async function inTheMiddle(t: TestContext, { stand, client }: Scene, id: string): Promise<number> {
  writeFileSync(join(stand.root, 'large'), randomBytes(manyBytes));
  await deploy(client, id);
  const pid = await until(() => gaiaAtWork(stand), 2);
  process.kill(pid, 'SIGSTOP');
  t.after(() => {
    // A stopped process would be left for ever.
    if (gaiaAtWork(stand) === pid && identityOf(pid) !== undefined) process.kill(pid, 'SIGKILL');
  });
  assert.equal(gaiaAtWork(stand), pid);
  assert.deepEqual(readdirSync(stand.backups).includes('dev') ? manifestsOf(stand) : [], []);
  return pid;
}

describe('CHRONOS on a bus', { timeout: 60_000, concurrency: true }, () => {
  it('backs a target up before the change, and says so once, with the cause', async (t) => {
    const here = await scene(t);
    const { stand, bus, client } = here;
    const agent = await chronos(t, here);
    assert.deepEqual([agent.said.agent, agent.said.bus], ['CHRONOS', bus.url]);
    await deploy(client, 'deploy-1', 'dev', { correlation_id: 'release 7' });
    await settled(client, 'deploy-1');
    const [manifest, ...others] = manifestsOf(stand);
    assert.deepEqual([manifest?.reason, manifest?.cause, others], ['pre-change', 'deploy-1', []]);
    const [told, ...more] = await toldOf(client);
    assert.deepEqual([told?.action, told?.source_agent, told?.target], ['backup_completed', 'CHRONOS', 'dev']);
    assert.deepEqual([told?.causation_id, told?.correlation_id], ['deploy-1', 'release 7']);
    assert.deepEqual([told?.details?.backup, told?.details?.state], [manifest?.name, 'sound']);
    assert.deepEqual(more, []);
    // Nothing of it waits in GAIA's outbox, and its own backups it still tells itself.
    await stand.json(0, 'verify', 'latest');
    await stand.json(0, 'backup', 'dev');
    const actions = (await toldOf(client)).map(({ source_agent, action }) => `${source_agent} ${action}`);
    assert.deepEqual(actions.slice(1), ['GAIA backup_verified', 'GAIA backup_completed']);
    const health = (await (await fetch(agent.said.health as string)).json()) as Record<string, unknown>;
    assert.deepEqual([health.status, health.service, health.handled], ['healthy', 'chronos', 1]);
    assert.equal((await fetch((agent.said.health as string).replace('/health', '/'))).status, 404);
  });

  it('leaves what cannot work to the dead letters, and goes on', async (t) => {
    const here = await scene(t);
    const { stand, client } = here;
    const gone = join(stand.home, 'data-plane', 'gone');
    appendFileSync(stand.config, `    gone:\n      root: ${gone}\n`);
    await chronos(t, here);
    await deploy(client, 'deploy-gone', 'gone');
    await deploy(client, 'deploy-web', 'web');
    await deploy(client, 'deploy-dev');
    await settled(client, 'deploy-dev');
    await settled(client, 'deploy-gone', 'failed');
    const [letter] = (await client.deadLetters({ agent: 'CHRONOS' })).dead_letters;
    assert.deepEqual([letter?.event.id, letter?.reason, letter?.attempts], ['deploy-gone', 'rejected', 1]);
    assert.match(String(letter?.error), /data-plane\/gone/);
    const told = (await toldOf(client)).map(({ action, causation_id }) => `${action} ${causation_id}`);
    assert.deepEqual(told, ['backup_failed deploy-gone', 'backup_skipped deploy-web', 'backup_completed deploy-dev']);
    mkdirSync(gone);
    await client.redrive('CHRONOS', letter?.id as string);
    await settled(client, 'deploy-gone');
    const [last] = (await toldOf(client)).slice(-1);
    assert.deepEqual([last?.action, last?.causation_id], ['backup_completed', 'deploy-gone']);
  });

  it('makes one backup when it is killed in the middle and GAIA goes on', async (t) => {
    const here = await scene(t);
    const { stand, client } = here;
    const first = await chronos(t, here);
    const gaia = await inTheMiddle(t, here, 'deploy-1');
    first.child.kill('SIGKILL');
    await first.ended;
    await deploy(client, 'deploy-2');
    const second = await chronos(t, here);
    const health = async () => (await (await fetch(second.said.health as string)).json()) as Record<string, unknown>;
    await until(async () => (await health()).working_on !== null);
    process.kill(gaia, 'SIGCONT');
    for (const id of ['deploy-1', 'deploy-2']) await settled(client, id);
    assert.deepEqual(causesOf(stand).sort(), ['deploy-1', 'deploy-2']);
    const told = await toldOf(client);
    assert.deepEqual(told.map(({ action, causation_id }) => `${action} ${causation_id}`).sort(), [
      'backup_completed deploy-1',
      'backup_completed deploy-2',
    ]);
  });

  it('makes one backup when both are killed in the middle', async (t) => {
    const here = await scene(t);
    const { stand, client } = here;
    const first = await chronos(t, here);
    const gaia = await inTheMiddle(t, here, 'deploy-1');
    first.child.kill('SIGKILL');
    process.kill(gaia, 'SIGKILL');
    await first.ended;
    await chronos(t, here);
    await settled(client, 'deploy-1');
    assert.deepEqual(causesOf(stand), ['deploy-1']);
    assert.deepEqual(
      (await toldOf(client)).map(({ action }) => action),
      ['backup_completed'],
    );
    assert.deepEqual(leftBehind(stand.backups), []);
    await stand.json(0, 'verify', 'latest');
  });

  it('gives back what it cannot finish when it is stopped', async (t) => {
    const here = await scene(t);
    const { stand, client } = here;
    const agent = await chronos(t, here, '--grace', '0');
    const gaia = await inTheMiddle(t, here, 'deploy-1');
    agent.child.kill('SIGTERM');
    // It is asked to end too, and can when it is no longer held.
    await pause(100);
    process.kill(gaia, 'SIGCONT');
    const { exit, stderr } = await agent.ended;
    assert.equal(exit, 0);
    assert.match(stderr, /Stopped\. Handled 0, given back 1, dead letters 0\./);
    assert.deepEqual([manifestsOf(stand), await toldOf(client)], [[], []]);
    const { deliveries } = await client.claim('CHRONOS');
    assert.deepEqual(
      deliveries.map(({ event, attempt }) => [event.id, attempt]),
      [['deploy-1', 2]],
    );
  });

  it('speaks with a token of its own, needs no port, and says what is wrong with its call', async (t) => {
    const here = await scene(t, 'bus: { auth: required }');
    const { stand, bus } = here;
    const scopes = ['publish:backup_*', 'publish:loop_cut', 'ack:self', 'read'];
    const { secret } = await tokenFor(bus, { name: 'CHRONOS', scopes });
    const client = makeClient({ url: bus.url, token: (await tokenFor(bus, { scopes: ['admin'] })).secret });
    const file = join(stand.home, 'token');
    writeFileSync(file, secret, { mode: 0o600 });
    const agent = await chronos(t, here, '--token-file', file, '--port', String(bus.port));
    assert.equal(agent.said.health, null);
    await deploy(client, 'deploy-1');
    await settled(client, 'deploy-1');
    assert.deepEqual(
      (await toldOf(client)).map(({ action }) => action),
      ['backup_completed'],
    );
    writeFileSync(file, `lev_${'x'.repeat(40)}`);
    const { exit, stderr } = await leveredge(['agent', 'CHRONOS', '--token-file', file, '--url', bus.url]);
    assert.equal(exit, 3, stderr);
    const misspelt = await inProcess(bus.url)('agent', 'nobody');
    assert.equal(misspelt.exit, 2);
    assert.match(misspelt.stderr, /There are: atlas, chronos, hades/);
  });
});
