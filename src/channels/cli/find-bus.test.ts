import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BusFlags, Surroundings } from './door.ts';
import { findBus } from './find-bus.ts';

type Given = {
  flags?: BusFlags & { url?: string };
  env?: Partial<Surroundings['env']>;
  recorded?: { url: string; alive: boolean };
  /** Port and host of the settings. */
  yaml?: { host?: string; port?: number };
};

function find({ flags = {}, env = {}, recorded, yaml = {} }: Given) {
  const around: Pick<Surroundings, 'env' | 'findHome' | 'databaseFile' | 'recordedBus' | 'busAddress'> = {
    env: { url: undefined, port: undefined, host: undefined, ...env },
    findHome: (flag) => ({ dir: flag ?? '/found', because: '' }),
    databaseFile: (home) => `${home}/events.db`,
    recordedBus: (file) => (file === '/found/events.db' && recorded ? { pid: 1, ...recorded } : undefined),
    busAddress: async ({ port, host }) => ({
      port: Number(port ?? env.port ?? yaml.port ?? 8099),
      host: host ?? env.host ?? yaml.host ?? '127.0.0.1',
    }),
  };
  return findBus(around as Surroundings, flags);
}

describe('the place where the bus is looked for', () => {
  const url = 'http://127.0.0.1:1';
  const recorded = { url: 'http://127.0.0.1:4', alive: true };
  const yaml = { port: 5 };
  const guesses = ['http://127.0.0.1:5', 'http://127.0.0.1:8099'];
  const cases: [name: string, given: Given, found: string][] = [
    ['--url', { flags: { url }, env: { url: 'http://x', port: '2' }, recorded, yaml }, url],
    ['LEVEREDGE_URL', { env: { url, port: '2' }, recorded, yaml }, url],
    ['LEVEREDGE_PORT', { env: { port: '2' }, recorded, yaml }, 'http://127.0.0.1:2'],
    ['LEVEREDGE_HOST, with the port of the settings', { env: { host: '::1' }, recorded, yaml }, 'http://[::1]:5'],
    [
      'a port of a flag, as doctor has it',
      { flags: { port: '3' }, env: { port: '2' }, recorded },
      'http://127.0.0.1:3',
    ],
    ['the bus that runs on the home', { recorded, yaml }, 'http://127.0.0.1:4'],
    ['the same when LEVEREDGE_PORT is any free one', { env: { port: '0' }, recorded, yaml }, 'http://127.0.0.1:4'],
    ['the settings when that one has ended', { recorded: { ...recorded, alive: false }, yaml }, 'http://127.0.0.1:5'],
    ['the settings of another home', { flags: { home: '/other' }, recorded, yaml }, 'http://127.0.0.1:5'],
    ['port 8099 when nothing is said', {}, 'http://127.0.0.1:8099'],
    ['port 8099 when the settings say any free one', { yaml: { port: 0 } }, 'http://127.0.0.1:8099'],
  ];
  for (const [name, given, found] of cases)
    it(`is ${name}`, async () => {
      const isGiven = (given.flags?.url ?? given.env?.url) !== undefined;
      assert.deepEqual(await find(given), { url: found, isGiven, isGuess: guesses.includes(found) });
    });
});
