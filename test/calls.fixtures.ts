import { after, before } from 'node:test';
import { type Client, makeClient } from '../src/client/client.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';

/** A bus for a suite of calls, and who calls there. */
export type CallStand = {
  readonly bus: BusProcess;
  /** Without a token. */
  readonly client: Client;
  /** Somebody with a token of its own. */
  as(name: string, kind: 'agent' | 'person' | 'tool', ...scopes: string[]): Promise<Client>;
  /** Who may approve. */
  approver(name?: string): Promise<Client>;
};

/** Call it in a suite: the bus is there before the first test, and gone after the last. */
export function callStand(): CallStand {
  let bus: BusProcess;
  let client: Client;
  before(async () => {
    bus = await startBusProcess();
    client = makeClient({ url: bus.url });
  });
  after(() => bus.stop());
  const as: CallStand['as'] = async (name, kind, ...scopes) =>
    makeClient({ url: bus.url, token: (await tokenFor(bus, { name, kind, scopes })).secret });
  return {
    get bus() {
      return bus;
    },
    get client() {
      return client;
    },
    as,
    approver: (name = 'anna') => as(name, 'person', 'read', 'approve'),
  };
}
