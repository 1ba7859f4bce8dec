import { makeClient } from '../src/client/client.ts';
import { vault } from './vault.fixtures.ts';

/** VAULT as a process of its own, which takes a call, says so, and never comes to an end with it. */
const { VAULT_URL: url = '', VAULT_TOKEN: token } = process.env;
const run = async () => {
  process.stdout.write('began\n');
  return new Promise<never>(() => undefined);
};
await vault({ after: () => undefined }, makeClient({ url, token }), new Map(), { put: { run } });
