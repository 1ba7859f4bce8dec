import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { folder } from './gaia.fixtures.ts';
import { freePort, makeResticStand, notHere } from './restic.fixtures.ts';

const sshd = '/usr/sbin/sshd';
/** What ssh reads of the machine's; in the test's own mount namespace something else lies there. */
const settings = '/etc/ssh/ssh_config.d';
const missing =
  notHere('restic', 'ssh', 'ssh-keygen', 'unshare') ??
  (existsSync(sshd) ? undefined : 'sshd') ??
  (process.getuid?.() === 0 ? undefined : 'root');
if (missing !== undefined) console.log(`NOT RUN: a repository of restic over SFTP: there is no ${missing}`);

type Test = Parameters<typeof folder>[0];

/** An SSH server on a port of the loopback, with keys of its own, and what a client of it needs in its settings. */
async function startServer(t: Test, at: string): Promise<{ clientSettings: string; stop(): Promise<void> }> {
  const port = await freePort();
  mkdirSync('/run/sshd', { recursive: true });
  for (const key of ['host', 'user'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(at, key)]);
  writeFileSync(join(at, 'authorized'), readFileSync(join(at, 'user.pub')));
  writeFileSync(join(at, 'known'), `nas ${readFileSync(join(at, 'host.pub'), 'utf8')}`);
  const lines = [
    ...[`Port ${port}`, 'ListenAddress 127.0.0.1', `HostKey ${join(at, 'host')}`, 'UsePAM no', 'PidFile none'],
    ...[`AuthorizedKeysFile ${join(at, 'authorized')}`, 'StrictModes no', 'PermitRootLogin yes'],
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(join(at, 'sshd_config'), `${lines.join('\n')}\n`);
  const server = spawn(sshd, ['-D', '-e', '-f', join(at, 'sshd_config')], { stdio: 'ignore' });
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    await ended;
  };
  t.after(() => void stop());
  for (let n = 0; n < 200; n++) {
    const socket = createConnection({ host: '127.0.0.1', port });
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) break;
    await pause(25);
  }
  const client = [
    ...['Host nas', 'HostName 127.0.0.1', `Port ${port}`, 'User root', `IdentityFile ${join(at, 'user')}`],
    ...[`UserKnownHostsFile ${join(at, 'known')}`, 'HostKeyAlias nas', 'BatchMode yes'],
  ];
  return { clientSettings: `${client.join('\n')}\n`, stop };
}

describe('a repository of restic over SFTP', { skip: missing !== undefined, timeout: 120_000 }, () => {
  it('is backed up into, read back, verified and restored from; without its server nothing is changed', async (t) => {
    const at = folder(t);
    const server = await startServer(t, at);
    const repository = join(at, 'far');
    const stand = makeResticStand(t, { repository, address: `sftp:nas:${repository}` });
    writeFileSync(join(at, 'client'), server.clientSettings);
    const gaia = (...words: string[]) => {
      const { program, args, env } = stand.command(...words);
      const script = `mount -t tmpfs none ${settings} && cp ${join(at, 'client')} ${settings}/nas.conf && exec "$@"`;
      try {
        const flags = ['--mount', 'sh', '-c', script, 'sh', program, ...args];
        execFileSync('unshare', flags, { env, encoding: 'utf8', stdio: 'pipe' });
        return { exit: 0, stderr: '' };
      } catch (error) {
        const { status, stderr } = error as { status: number; stderr: string };
        return { exit: status, stderr };
      }
    };
    for (const words of [
      ['backup', 'dev'],
      ['verify', 'latest'],
    ]) {
      const { exit, stderr } = gaia(...words);
      assert.equal(exit, 0, stderr);
    }
    rmSync(join(stand.root, 'notes'));
    const restored = gaia('restore', 'dev', '--yes', '--here');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    await server.stop();
    writeFileSync(join(stand.root, 'notes'), 'kept\n');
    for (const words of [
      ['backup', 'dev'],
      ['restore', 'dev', '--yes', '--here'],
    ]) {
      const { exit, stderr } = gaia(...words);
      assert.equal(exit, 4, stderr);
      assert.match(stderr, /sftp:nas:\S+ cannot be reached/);
    }
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'kept\n');
  });
});
