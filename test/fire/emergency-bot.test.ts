import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fromBase32 } from '../../src/gaia/two-factor/base32.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { run } from '../recovery/gaia.fixtures.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { type Machine, noMachine, startMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined) console.log(`NOT RUN: the emergency bot's units need a machine in a container: ${missing}`);

const checkout = join(import.meta.dirname, '../..');
const program = '/usr/local/lib/leveredge';
const gaia = `LEVEREDGE_HOME=/opt/leveredge node ${program}/dist/gaia.mjs`;
const secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
const token = '7000002:FAKE_emergency_bot_of_leveredge_000';
const config = `restore_targets:
  data-plane:
    dev: { root: /opt/leveredge/data-plane/dev, health: none }
`;
const setUp = `
mkdir -p /opt/leveredge/data-plane/dev /opt/leveredge/shared && cd /opt/leveredge && chmod 700 gaia
echo first > data-plane/dev/notes && chown 4321 data-plane/dev/notes
(umask 077; echo ${token} > gaia/.telegram_token; echo 5550001 > gaia/.authorized_users; echo ${secret} > gaia/.2fa_secret)
${gaia} backup dev && echo second > data-plane/dev/notes
useradd --system --no-create-home --shell /usr/sbin/nologin gaia-bot
${gaia} runner --unit > /etc/systemd/system/gaia-runner.service
${gaia} bot --unit | sed '/^Type=exec/a Environment=TELEGRAM_API_ROOT=http://127.0.0.1:8890' > /etc/systemd/system/gaia-emergency.service
systemd-run --quiet --unit=telegram node ${program}/bin/leveredge.mjs fake-telegram --port 8890
systemctl daemon-reload && systemctl enable --now --quiet gaia-runner gaia-emergency`;

describe('the emergency bot on a server', { skip: missing !== undefined, timeout: 900_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fire-bot-'));
  const installed = join(folder, 'program');
  let engine: Engine;
  let machine: Machine;

  before(async () => {
    mkdirSync(installed);
    for (const name of ['bin', 'package.json'])
      cpSync(join(checkout, name), join(installed, name), { recursive: true });
    const built = await run(process.execPath, [join(checkout, 'tools/build.ts'), join(installed, 'dist')]);
    assert.equal(built.exit, 0, built.stderr);
    engine = await startEngine();
    const volumes = [`${process.execPath}:/usr/local/bin/node:ro`, `${installed}:${program}:ro`];
    machine = await startMachine('', { bare: true, volumes });
    machine.write('/opt/leveredge/gaia/config.yaml', config);
    await machine.well(setUp);
  });

  after(async () => {
    await run('docker', ['rm', '-f', 'leveredge-test-machine']);
    await engine?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const script = (code: string) => machine.well(`node -e ${JSON.stringify(code)}`);
  const say = (text: string) =>
    script(
      `fetch('http://127.0.0.1:8890/play/say', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ bot: 'emergency', as: 'owner', where: 'private', text: '${text}' }) })`,
    );
  const chat = () =>
    script(
      `fetch('http://127.0.0.1:8890/play/chat?bot=emergency&as=owner&where=private').then((a) => a.json()).then(({ messages }) => console.log(messages.filter(({ from }) => from === 'bot').map(({ text }) => text).join(' | ')))`,
    );
  async function heard(text: RegExp): Promise<void> {
    for (const end = performance.now() + 60_000; !text.test(await chat()); await pause(300))
      if (performance.now() > end) {
        const { stdout } = await machine.sh('journalctl -u gaia-runner -u gaia-emergency -n 40 --no-pager');
        assert.fail(`never heard ${text}\n${await chat()}\n${stdout}`);
      }
  }
  const code = (away = 0) => codeAt(fromBase32(secret) as Buffer, stepAt(Date.now()) + away);

  it('restores what is confirmed, from units that are hardened, in a unit of its own', async () => {
    await say('/restore dev');
    await heard(/Restore dev\?/);
    await say(code());
    await heard(/restore dev: done/);
    assert.equal(await machine.well('cat /opt/leveredge/data-plane/dev/notes'), 'first');
    assert.equal(await machine.well('stat -c %u /opt/leveredge/data-plane/dev/notes'), '4321');
    assert.match(await machine.well('journalctl --no-pager -o cat _PID=1 | grep gaia-2'), /gaia-2\S+\.service/);
  });

  it('leaves the bot a user that can read neither secret, token, configuration nor backups, and no room to write', async () => {
    const pid = await machine.well('systemctl show -p MainPID --value gaia-emergency');
    assert.equal(await machine.well(`stat -c %U /proc/${pid}`), 'gaia-bot');
    const as = 'setpriv --reuid=gaia-bot --regid=gaia-bot --clear-groups';
    for (const file of [
      'gaia/.2fa_secret',
      'gaia/.telegram_token',
      'gaia/config.yaml',
      'shared/backups/.gaia/lock.json',
    ])
      assert.notEqual((await machine.sh(`${as} cat /opt/leveredge/${file}`)).exit, 0, file);
    for (const place of ['replies', '.']) {
      const { exit } = await machine.sh(`${as} touch /opt/leveredge/shared/emergency/${place}/x`);
      assert.notEqual(exit, 0, place);
    }
    assert.equal((await machine.sh(`${as} touch /opt/leveredge/shared/emergency/requests/.x`)).exit, 0);
    const environment = await machine.well(
      `tr '\\0' '\\n' < /proc/${pid}/environ; tr '\\0' ' ' < /proc/${pid}/cmdline`,
    );
    assert.ok(environment.includes('--permission') && !environment.includes(token) && !environment.includes(secret));
    const [kib] = /\d+/.exec(await machine.well(`grep VmHWM /proc/${pid}/status`)) ?? ['0'];
    console.log(`the bot has taken ${Math.round(Number(kib) / 1024)} MiB at most`);
    assert.ok(Number(kib) < 70 * 1024, `${kib} KiB`);
  });

  it('comes back by itself when both are killed, and after a loss of power', async () => {
    await machine.well('systemctl kill -s KILL gaia-runner gaia-emergency');
    await say('/backup dev');
    await heard(/backup dev: done/);
    await machine.well('echo third > /opt/leveredge/data-plane/dev/notes');
    await machine.reboot();
    await machine.well(
      `systemd-run --quiet --unit=telegram node ${program}/bin/leveredge.mjs fake-telegram --port 8890`,
    );
    for (const end = performance.now() + 30_000; performance.now() < end; await pause(500))
      if ((await machine.sh('systemctl is-active gaia-emergency')).exit === 0) break;
    await say('/restore dev');
    await heard(/Restore dev\?/);
    await say(code(1));
    await heard(/restore dev: done/);
    assert.equal(await machine.well('cat /opt/leveredge/data-plane/dev/notes'), 'second');
    const log = await machine.well('journalctl --no-pager -o cat');
    for (const word of [token, secret]) assert.ok(!log.includes(word), 'a secret is in the journal');
  });
});
