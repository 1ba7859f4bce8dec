import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import { commandsOf } from './commands.ts';

const commands = commandsOf(allCapabilities);
const read = (text: string) => {
  const found = commands.read(text);
  return found.kind === 'call' ? { ...found, capability: found.capability.name } : found;
};
const call = (capability: string, args: object) => ({ kind: 'call', capability, arguments: args });

const table: [text: string, reads: object][] = [
  ['/status', call('atlas.status', {})],
  ['/STATUS@my_bot', call('atlas.status', {})],
  ['/backup dev', call('chronos.backup', { target: 'dev' })],
  ['/restore dev', call('hades.rollback', { target: 'dev' })],
  ['/rollback dev backup=dev-2026', call('hades.rollback', { target: 'dev', backup: 'dev-2026' })],
  ['/chronos_list dev', call('chronos.list', { target: 'dev' })],
  ['/hades_list', call('hades.list', {})],
  ['/events limit=5', call('atlas.events', { limit: 5 })],
  ['/respond 01a2 light blue', { kind: 'own', command: 'respond', rest: '01a2 light blue' }],
  ['/statsu', { kind: 'unknown', says: 'There is no /statsu. Did you mean /status?' }],
  ['/', { kind: 'unknown', says: 'There is no /.' }],
];

describe('the commands of the control bot', () => {
  for (const [text, reads] of table) it(`reads ${text}`, () => assert.deepEqual(read(text), reads));

  it('asks for what is missing', () => {
    const found = commands.read('/backup');
    assert.equal(found.kind === 'lacks' && `${found.missing} ${found.usage}`, 'target /backup TARGET');
  });

  it('has a menu that Telegram takes, with each capability once', () => {
    const { menu } = commands;
    for (const { command, description } of menu) {
      assert.match(command, /^[a-z0-9_]{1,32}$/);
      assert.ok(description.length >= 1 && description.length <= 256);
      assert.notEqual(commands.read(`/${command}`).kind, 'unknown', command);
    }
    assert.equal(new Set(menu.map(({ command }) => command)).size, menu.length);
    for (const { name } of allCapabilities)
      assert.notEqual(commands.read(`/${name.replace('.', '_')} x`).kind, 'unknown', name);
  });

  it('never calls what is destructive without a word after it', () => {
    const destructive = allCapabilities.filter(
      ({ risk, input }) => risk === 'destructive' && !input.safeParse({}).success,
    );
    for (const { name } of destructive) assert.equal(commands.read(`/${name.replace('.', '_')}`).kind, 'lacks');
  });

  it('reads whatever comes', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => void commands.read(`/${text}`)));
  });
});
