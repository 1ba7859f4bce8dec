import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { codesHere } from '../../src/bin/codes-here.ts';
import { gaiaLauncher } from '../recovery/gaia.fixtures.ts';
import { configureGaia, enrol } from '../two-factor.fixtures.ts';

const never = new AbortController().signal;
const { PATH } = process.env;

function homeWith(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'gaia-codes-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  configureGaia(home);
  return { home, factor: enrol(home) };
}

const sent = (code: string) => ({
  ...{ code, question: 'q1', payload_hash: 'h', person: 'olga', sent_ms: Math.floor(Date.now() / 1000) * 1000 },
});

/** What systemd does for the socket: a GAIA for each connection, which is her input and her output. */
async function unitFor(t: TestContext, home: string): Promise<string> {
  const socket = join(home, 'codes.sock');
  const server = createServer({ pauseOnConnect: true }, (line) => {
    const child = spawn(process.execPath, [gaiaLauncher, '__code'], {
      stdio: [line, line, 'ignore'],
      env: { PATH, LEVEREDGE_HOME: home },
    });
    child.on('close', () => line.destroy());
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return socket;
}

describe('codes that GAIA judges for the control bot', { timeout: 120_000 }, () => {
  it('count once, however many ask for one at the same moment, and whoever asks', async (t) => {
    const { home, factor } = homeWith(t);
    const { judge } = codesHere({ home, env: { PATH }, signal: never });
    const code = factor.code();
    const others = Array.from({ length: 4 }, () => judge(sent(code)));
    const kinds = (await Promise.all(others)).map(({ kind }) => kind);
    assert.deepEqual(kinds.sort(), ['refused', 'refused', 'refused', 'right']);
    assert.equal(factor.failures(), 0);
    assert.equal(factor.tryElsewhere(code).kind, 'used');
  });

  it('are judged at a socket as by a process of one’s own', async (t) => {
    const { home, factor } = homeWith(t);
    const GAIA_CODES_SOCKET = await unitFor(t, home);
    const { judge, ready } = codesHere({ home: '/nowhere', env: { GAIA_CODES_SOCKET }, signal: never });
    assert.deepEqual(await ready(), { kind: 'ready', entry: null });
    assert.equal((await judge(sent(factor.wrong()))).kind, 'refused');
    assert.equal((await judge(sent(factor.code()))).kind, 'right');
  });

  it('are told to be judged by nobody, where that is so', async (t) => {
    const { home } = homeWith(t);
    const nobody = codesHere({ home, env: { GAIA_CODES_SOCKET: join(home, 'none.sock') }, signal: never });
    await assert.rejects(nobody.ready(), { code: 'unavailable', hint: /leveredge-codes\.socket/ });
    mkdirSync(join(home, 'empty', 'gaia'), { recursive: true });
    const unset = codesHere({ home: join(home, 'empty'), env: { PATH }, signal: never });
    assert.match(JSON.stringify(await unset.ready()), /refused.*There is no configuration/);
    const gone = AbortSignal.abort(new Error('stopping'));
    await assert.rejects(codesHere({ home, env: { PATH }, signal: gone }).ready(), { code: 'unavailable' });
  });
});
