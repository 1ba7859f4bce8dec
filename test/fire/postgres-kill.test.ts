import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gaiaLauncher } from '../recovery/gaia.fixtures.ts';
import { noServer, pictureOf } from './postgres.fixtures.ts';
import { makePostgresStand, type PostgresStand } from './postgres-stand.fixtures.ts';

const missing = noServer();
if (missing !== undefined)
  console.log(`NOT RUN: kills in the middle of restores of databases need a PostgreSQL server: ${missing}`);
const port = 15452;

/** Lines of a configuration that ask a server of the test whether all is well. */
const healthAt = (server: HttpServer) =>
  `      health: { endpoints: [ { name: web, url: "http://127.0.0.1:${(server.address() as AddressInfo).port}/" } ], within_seconds: 3, consecutive: 1 }\n`;

describe('a restore of a PostgreSQL database that is killed', {
  skip: missing !== undefined,
  timeout: 1_800_000,
}, () => {
  let at: PostgresStand;
  let first: string;

  before(async () => {
    at = makePostgresStand(port);
    first = pictureOf(at.server);
    assert.equal((await at.gaia('backup', 'dev')).exit, 0);
  });
  afterEach(() => at.reset());
  after(() => at?.end());

  it('ends whole after a kill at every point, forward and back', async () => {
    const points = join(at.home, 'points');
    const web = createServer((_, answer) => void answer.end()).listen(0, '127.0.0.1');
    await once(web, 'listening');
    at.configure(undefined, healthAt(web));
    const launch = (env: Record<string, string>) => {
      const child = spawn(
        process.execPath,
        [gaiaLauncher, 'restore', 'dev', '--yes', '--here', '--config', at.config],
        {
          env: { PATH: process.env.PATH, LEVEREDGE_HOME: at.home, ...env },
          stdio: 'ignore',
        },
      );
      return { child, ended: once(child, 'close') };
    };
    try {
      at.damage();
      await launch({ GAIA_POINTS_TO: points }).ended;
      const names = readFileSync(points, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.replace(/^\d+ /, ''));
      for (const name of ['after load done', 'after databases are swapped', 'between the renames'])
        assert.ok(names.includes(name), names.join());
      const tried = names.filter((name) => /load|databases|quiesce|swap|renames|start|health|commit/.test(name));
      for (const point of tried)
        for (const direction of ['forward', 'back'] as const) {
          at.reset();
          at.damage();
          const { child, ended } = launch({ GAIA_STOP_AT: point });
          await untilStopped(child.pid as number);
          child.kill('SIGKILL');
          await ended;
          const resumed = await at.gaia('resume', ...(direction === 'back' ? ['--back'] : []));
          const text = `${point}, ${direction}: ${resumed.stderr}`;
          assert.equal(resumed.exit, 0, text);
          const isNew = at.server.sql('app', 'SELECT count(*) FROM account WHERE balance = 7') === '0';
          assert.equal(isNew, direction === 'forward' || (/commit|health done/.test(point) && isNew), text);
          assert.equal(at.notes(), isNew ? 'the first state' : 'damaged', text);
          if (isNew) assert.equal(pictureOf(at.server), first, text);
          assert.deepEqual(
            at.own().filter((name) => !/__old_/.test(name)),
            ['app'],
            text,
          );
        }
    } finally {
      web.close();
      at.configure();
    }
  });

  it('goes back to the end when it is killed on its way back, after what was new was removed', async () => {
    at.damage();
    const killedAt = async (point: string, ...words: string[]) => {
      const child = spawn(process.execPath, [gaiaLauncher, ...words, '--here', '--config', at.config], {
        env: { PATH: process.env.PATH, LEVEREDGE_HOME: at.home, GAIA_STOP_AT: point },
        stdio: 'ignore',
      });
      const ended = once(child, 'close');
      await untilStopped(child.pid as number);
      child.kill('SIGKILL');
      await ended;
    };
    await killedAt('after databases are swapped', 'restore', 'dev', '--yes');
    await killedAt('before end done', 'resume', '--back');
    assert.deepEqual(at.own(), ['app']);
    const resumed = await at.gaia('resume');
    assert.equal(resumed.exit, 0, resumed.stderr);
    assert.deepEqual(at.own(), ['app']);
    assert.equal(at.notes(), 'damaged');
    assert.equal(at.server.sql('app', 'SELECT count(*) FROM account WHERE balance = 7'), '499');
  });
});

async function untilStopped(pid: number): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; await pause(10)) {
    try {
      if (/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return;
    } catch {
      break;
    }
  }
  throw new Error('it did not stop at the point');
}
