import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentNames, type Door } from '../door.ts';
import { agentUnit } from '../init/agent-unit.ts';
import { busUnit } from '../init/bus-unit.ts';
import type { Found, Server } from '../init/step.ts';
import { telegramUnit } from '../init/telegram-unit.ts';
import { type Installation, initCommand, installationOf, isStranger } from './installation.ts';

const home = '/srv/our server';
const place = { home, node: '/usr/bin/node', program: '/p/leveredge.mjs' };
const file = (text: string, real = '/x'): Found => ({ kind: 'file', mode: 0o644, uid: 0, text, real });
const own = { '/p/leveredge.mjs': file('', '/p/leveredge.mjs') };

function machine(found: Readonly<Record<string, Found>>): Server {
  return {
    programs: { leveredge: '/p/leveredge.mjs' },
    units: { system: '/etc/systemd/system', user: '/u' },
    links: '/usr/local/bin',
    look: (path: string) => found[path] ?? { kind: 'nothing' },
  } as unknown as Server;
}
const bus = { '/etc/systemd/system/event-bus.service': file(busUnit('system', { ...place, user: 'le' })) };
const hades = {
  '/etc/systemd/system/hades.service': file(agentUnit('system', 'hades', { ...place, user: 'le-recovery' })),
};
const bot = {
  '/etc/systemd/system/leveredge-telegram.service': file(telegramUnit('system', { ...place, user: 'le-telegram' })),
};
const usual: Installation = { home, units: 'system', user: 'leveredge', agents: agentNames, bots: true, linked: true };
const command = (of: Partial<Installation>, user = 'root') =>
  initCommand({ user, program: 'leveredge' } as unknown as Door, { ...usual, ...of });

describe('what init was asked for', () => {
  it('is read from the units of this home', () => {
    const linked = { '/usr/local/bin/leveredge': file('', '/p/leveredge.mjs'), ...own };
    assert.deepEqual(installationOf(home, machine({ ...bus, ...hades, ...bot, ...linked })), { ...usual, user: 'le' });
    assert.equal(installationOf(home, machine({ ...bus, ...hades }))?.bots, false);
    assert.deepEqual(installationOf(home, machine(bus))?.agents, []);
    assert.equal(installationOf(home, machine(hades))?.user, 'le', 'also where the unit of the bus is gone');
  });

  it('is nothing where the units are of another home, or of somebody else', () => {
    assert.equal(installationOf('/srv/our', machine(bus)), undefined);
    assert.equal(installationOf('/srv/our server/below', machine(bus)), undefined);
    assert.equal(
      installationOf(home, machine({ '/etc/systemd/system/event-bus.service': file(`bus --home "${home}"\n`) })),
      undefined,
    );
  });

  it('is told by the page that it wrote where there is no unit', () => {
    const page = { [`${home}/control-plane/docs/ARCHITECTURE.md`]: file('# How this server is made\n') };
    assert.equal(installationOf(home, machine(page))?.units, 'none');
  });

  it('comes back as the command that makes what is missing', () => {
    assert.equal(command({}), "leveredge init --home '/srv/our server'");
    assert.equal(command({ user: 'le' }, 'anna'), "sudo leveredge init --home '/srv/our server' --user le");
    assert.equal(
      command({ units: 'user', user: undefined, agents: [], bots: false, linked: false }, 'anna'),
      "leveredge init --home '/srv/our server' --units user --no-agents --no-bots --no-links",
    );
  });

  it('tells who is a stranger to it', () => {
    const is = (user: string, of: Installation | undefined) => isStranger({ user } as Door, of);
    assert.deepEqual([is('anna', usual), is('leveredge', usual), is('root', usual)], [true, false, false]);
    assert.deepEqual([is('anna', { ...usual, units: 'user' }), is('anna', undefined)], [false, false]);
  });
});
