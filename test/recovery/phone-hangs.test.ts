import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { gaiaLauncher, type Stand } from './gaia.fixtures.ts';
import { answering, other, phoneStand } from './phone.fixtures.ts';
import { emergency, notesOf, until, whole } from './phone-real.fixtures.ts';
import { layEmptyRepository, notHere } from './restic.fixtures.ts';

const missing = notHere('restic');
if (missing !== undefined) console.log(`NOT RUN: a repository that does not answer: there is no ${missing}`);

const minute = 60_000;

type Silent = {
  /** As restic takes it. */
  address: string;
  asked(): number;
  open(): number;
};

/** A server that takes connections, and never says a word. */
async function silent(t: TestContext, how: 'rest' | 'sftp' = 'rest'): Promise<Silent> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined).resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const at = `127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    address: how === 'rest' ? `rest:http://${at}` : `sftp://root@${at}/repository`,
    asked: () => sockets.length,
    open: () => sockets.filter(({ closed }) => !closed).length,
  };
}

/** The backups of prod go into a repository of restic. */
function intoRepository(stand: Stand): void {
  const repository = join(stand.home, 'repository');
  layEmptyRepository(repository);
  writeFileSync(join(stand.home, 'gaia', '.restic-password'), 'pw\n', { mode: 0o600 });
  writeFileSync(join(stand.home, 'gaia', 'restic.env'), `RESTIC_CACHE_DIR=${join(stand.home, 'cache')}\n`, {
    mode: 0o600,
  });
  const settings = `engine: restic, restic: { repository: "${repository}", environment_file: gaia/restic.env }`;
  const text = readFileSync(stand.config, 'utf8');
  writeFileSync(stand.config, text.replace(/(prod: \{.*health: none) \}/, `$1, ${settings} }`));
}

/** From now on the repository is elsewhere, where nobody answers; what this machine knows of it by heart is lost, too. */
function hang(stand: Stand, address: string): void {
  const text = readFileSync(stand.config, 'utf8');
  writeFileSync(stand.config, text.replace(join(stand.home, 'repository'), address));
  for (const lost of [join(stand.backups, '.gaia', 'lists'), join(stand.home, 'cache')])
    rmSync(lost, { recursive: true, force: true });
}

describe('a repository that does not answer', { timeout: 300_000, skip: missing !== undefined }, () => {
  it('keeps nobody from being answered, nor from stopping it', async (t) => {
    const server = await silent(t);
    const { telegram, stand, start, heard } = await whole(t, intoRepository);
    hang(stand, server.address);
    start('bot');
    telegram.say('/restore prod', emergency);
    await until('restic asks', () => server.asked() > 0);
    telegram.say('/status', emergency);
    await heard(/Status\n#\w{4} restore prod: looks at the backup\nNothing runs/);
    await heard(/restore prod: looks at the backup\nThat takes longer than usual/);
    telegram.say('/cancel', emergency);
    await heard(/restore prod: cancelled/);
    await until('restic has ended', () => server.open() === 0);
    telegram.say('/restore dev', emergency);
    await heard(/Restore dev\?/);
    telegram.say(stand.code(), emergency);
    await heard(/restore dev: done\ndev: /);
    assert.equal(notesOf(stand.root), 'the first state\n');
    assert.equal(notesOf(stand.prod), 'the second state\n');
    assert.ok(!telegram.said(emergency).some(({ text }) => /the runner on the server does not run/.test(text)));
  });

  it('gives way to another question, takes no code, and is given up in the end', async (t) => {
    const server = await silent(t);
    const stand = await phoneStand(t, intoRepository);
    hang(stand, server.address);
    const { phone, ask } = answering(t, stand);
    const begin = async (target: string) => {
      stand.ask({ verb: 'restore', target });
      await phone.tick();
    };
    await begin('prod');
    await until('restic asks', () => server.asked() > 0);
    stand.ask({ verb: 'confirm', operation: null, code: stand.code() });
    await phone.tick();
    assert.match(stand.text(), /#\w{4} waits for no code yet: its backup is being looked at/);
    await begin('dev');
    await phone.resolving();
    assert.match(stand.text(), /Restore dev\?/);
    await begin('prod');
    await until('restic asks', () => server.asked() > 1);
    stand.shiftMs += 5 * minute;
    await phone.tick();
    assert.match(stand.text(), /restore prod: cannot be done\nIts backup could not be looked at within 5 min/);
    await until('restic has ended', () => server.open() === 0);
    await ask({ verb: 'list', target: 'prod' });
    assert.match(stand.text(), /Newest backups\nprod-/);
    assert.deepEqual((await stand.json(0, 'status')).runs, []);
  });

  for (const how of ['rest', 'sftp'] as const)
    it(`does not keep what was confirmed from being stopped, over ${how}`, {
      skip: notHere(how === 'sftp' ? 'ssh' : 'restic') !== undefined,
    }, async (t) => {
      const server = await silent(t, how);
      const stand = await phoneStand(t, intoRepository);
      const { phone, ask, confirm } = answering(t, stand);
      await ask({ verb: 'restore', target: 'full' });
      await confirm();
      hang(stand, server.address);
      stand.shiftMs += minute;
      await phone.tick();
      await until('restic asks', () => server.asked() > 0);
      await phone.tick();
      assert.match(stand.text(), /restore full: runs/);
      await ask({ verb: 'cancel', operation: stand.asked() }, other);
      await phone.working();
      assert.match(stand.text(), /restore full: cancelled\nNot begun: prod, dev\./);
      await until('restic has ended', () => server.open() === 0);
      assert.deepEqual((await stand.json(0, 'status')).runs, []);
      assert.deepEqual([notesOf(stand.prod), notesOf(stand.root)], ['the second state\n', 'the second state\n']);
    });

  it('is asked anew by the next runner, and the question comes once it answers', async (t) => {
    const server = await silent(t);
    const stand = await phoneStand(t, intoRepository);
    const text = readFileSync(stand.config, 'utf8');
    hang(stand, server.address);
    const first = answering(t, stand);
    stand.ask({ verb: 'restore', target: 'prod' });
    await first.phone.tick();
    await until('restic asks', () => server.asked() > 0);
    first.phone.stop();
    first.phone.close();
    writeFileSync(stand.config, text);
    const { phone, confirm } = answering(t, stand);
    await phone.tick();
    await phone.resolving();
    assert.equal(stand.said().filter(({ title }) => /Restore prod\?/.test(title ?? '')).length, 1);
    await confirm();
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore prod: done/);
    assert.equal(notesOf(stand.prod), 'the first state\n');
  });

  it('is left by Ctrl-C at a terminal, and nothing begins', async (t) => {
    const server = await silent(t);
    const stand = await phoneStand(t, intoRepository);
    hang(stand, server.address);
    const child = spawn(process.execPath, [gaiaLauncher, 'restore', 'prod', '--yes', '--config', stand.config], {
      env: { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    t.after(() => void child.kill('SIGKILL'));
    let says = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      says += text;
    });
    const ended = new Promise((resolve) => child.on('close', resolve));
    await until('restic asks', () => server.asked() > 0);
    child.kill('SIGINT');
    assert.equal(await ended, 130, says);
    assert.match(says, /Nothing was done: interrupted/);
    assert.deepEqual((await stand.json(0, 'status')).runs, []);
  });
});
