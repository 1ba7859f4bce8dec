import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { gaiaLauncher, makeStand, type Stand } from './recovery/gaia.fixtures.ts';

type Event = { id: string; source_agent: string; action: string; target: string; details: Record<string, unknown> };

/** What the bus has of GAIA, oldest first. */
async function heardBy(bus: BusProcess, headers: Record<string, string> = {}): Promise<Event[]> {
  const answer = await fetch(`${bus.url}/events?source_agent=GAIA&limit=100`, { headers });
  return ((await answer.json()) as { events: Event[] }).events.reverse();
}

const actionsOf = (events: Event[]) => events.map(({ action }) => action);

/** One document, and nothing beside it. */
async function call(stand: Stand, exit: number, ...words: string[]): Promise<Record<string, unknown>> {
  const ended = await stand.gaia(...words, '--json');
  assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stdout}${ended.stderr}`);
  assert.match(ended.stdout, /^\{.*\}\n$/);
  for (const line of ended.stderr.trimEnd().split('\n')) assert.doesNotMatch(line, /outbox|publish|bus/);
  return JSON.parse(ended.stdout);
}

const waitingIn = async (stand: Stand) => (await call(stand, 0, 'status')).bus as Record<string, unknown>;

function setBus(stand: Stand, bus: string): void {
  const text = readFileSync(stand.config, 'utf8').replace(/^bus: .*\n/m, '');
  writeFileSync(stand.config, `${text}bus: ${bus}\n`);
}

/** A restore that is killed when it has written its end down, and has told nobody. */
async function killAtTheEnd(t: TestContext, stand: Stand): Promise<void> {
  const words = ['restore', 'dev', '--yes', '--here', '--config', stand.config];
  const child = spawn(process.execPath, [gaiaLauncher, ...words], {
    env: { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, GAIA_STOP_AT: 'after end done' },
    stdio: 'ignore',
  });
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.once('close', resolve));
  const isStopped = () => /^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
  for (let n = 0; n < 1000 && child.exitCode === null && !isStopped(); n++) await pause(10);
  assert.equal(child.exitCode, null);
  child.kill('SIGKILL');
  await ended;
}

describe('what the bus hears of gaia', { timeout: 60_000, concurrency: true }, () => {
  it('waits while no bus runs on the home, and comes once when one does', async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    await call(stand, 0, 'backup', 'dev');
    await killAtTheEnd(t, stand);
    assert.deepEqual(await waitingIn(stand), { waiting: 2, refused: 0, dropped: 0, why: null });
    const doctor = (await call(stand, 0, 'doctor')) as { findings: { what: string; says: string }[] };
    const [found] = doctor.findings.filter(({ what }) => what === 'bus');
    assert.equal(found?.says, 'none runs on this home; 2 events wait for it');
    const bus = await startBusProcess({ home: stand.home }, t);
    await call(stand, 0, 'verify', 'latest');
    const first = await heardBy(bus);
    assert.deepEqual(actionsOf(first), ['backup_completed', 'restore_started', 'restore_completed', 'backup_verified']);
    assert.equal((await waitingIn(stand)).waiting, 0);
    await call(stand, 0, 'undo', 'dev', '--yes');
    await call(stand, 0, 'prune', '--dry-run');
    const all = await heardBy(bus);
    assert.deepEqual(actionsOf(all.slice(first.length)), ['restore_started', 'restore_completed']);
    const [made, , restored] = all;
    const undone = all.at(-1);
    assert.deepEqual([made?.target, made?.details.state, made?.details.exit], ['dev', 'sound', 0]);
    assert.deepEqual([restored?.details.kind, restored?.details.backup], ['restore', made?.details.backup]);
    assert.deepEqual([undone?.details.kind, undone?.details.undoes], ['undo', restored?.details.run]);
    for (const { details } of all) assert.match(String(details.happened_at), /^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('is also what fails; and what the bus refuses keeps nothing else from it', async (t) => {
    const stand = makeStand(t);
    const bus = await startBusProcess({ home: stand.home }, t);
    const outbox = join(stand.backups, '.gaia/outbox');
    mkdirSync(outbox, { recursive: true, mode: 0o700 });
    writeFileSync(join(outbox, '0.json'), '{"id":"gaia-0","source_agent":"GAIA","action":""}');
    const { path } = await call(stand, 0, 'backup', 'dev');
    const bytes = readFileSync(path as string);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(path as string, bytes);
    await call(stand, 7, 'verify', 'dev');
    rmSync(stand.root, { recursive: true });
    const failed = await stand.gaia('backup', 'dev');
    assert.deepEqual([failed.exit, failed.stdout], [5, '']);
    const [, damaged, missing] = await heardBy(bus);
    assert.deepEqual([damaged?.action, damaged?.details.kind, damaged?.details.exit], ['backup_failed', 'verify', 7]);
    assert.deepEqual([missing?.action, missing?.details.kind, missing?.details.exit], ['backup_failed', 'backup', 5]);
    assert.match(String(missing?.details.says), /data-plane/);
    assert.deepEqual(await waitingIn(stand), { waiting: 0, refused: 1, dropped: 0, why: null });
  });

  it('goes with the token of the configuration, and nowhere when it is switched off', async (t) => {
    const stand = makeStand(t);
    const bus = await startBusProcess({ yaml: 'bus: { auth: required }' }, t);
    setBus(stand, `{ url: "${bus.url.replace('127.0.0.1', 'localhost')}/", token_file: gaia/bus.token }`);
    const { secret } = await tokenFor(bus, { name: 'GAIA', scopes: ['publish:backup_*', 'read'] });
    writeFileSync(join(stand.home, 'gaia/bus.token'), `${secret.slice(0, -1)}x`, { mode: 0o600 });
    await call(stand, 0, 'backup', 'dev');
    const { waiting, why } = await waitingIn(stand);
    assert.equal(waiting, 1);
    assert.match(String(why), / answers 401: /);
    writeFileSync(join(stand.home, 'gaia/bus.token'), `${secret}\n`);
    await call(stand, 0, 'verify', 'latest');
    const headers = { authorization: `Bearer ${secret}` };
    assert.deepEqual(actionsOf(await heardBy(bus, headers)), ['backup_completed', 'backup_verified']);
    setBus(stand, 'none');
    await call(stand, 0, 'verify', 'latest');
    assert.equal((await waitingIn(stand)).waiting, 0);
    assert.equal((await heardBy(bus, headers)).length, 2);
  });

  it('costs two seconds at most when the bus takes it and never answers', async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    const sockets: { destroy(): void }[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    await new Promise((resolve) => silent.once('listening', resolve));
    setBus(stand, 'none');
    await call(stand, 0, 'backup', 'dev');
    const began = performance.now();
    await call(stand, 0, 'restore', 'dev', '--yes');
    const usualMs = performance.now() - began;
    setBus(stand, `{ url: "http://127.0.0.1:${(silent.address() as AddressInfo).port}" }`);
    const beganAgain = performance.now();
    await call(stand, 0, 'restore', 'dev', '--yes');
    const longerMs = performance.now() - beganAgain - usualMs;
    assert.ok(sockets.length > 0);
    assert.ok(longerMs < 3500, `${Math.round(longerMs)} ms longer`);
    const { waiting, why } = await waitingIn(stand);
    assert.equal(waiting, 2);
    assert.match(String(why), /did not answer in time/);
  });
});
