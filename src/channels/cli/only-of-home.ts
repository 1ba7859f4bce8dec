import { Fault } from '../../base/fault.ts';
import type { Client } from '../../client/client.ts';
import type { Surroundings } from './door.ts';

/**
 * A client for an address that nobody named, guessed for a home that somebody did. Before its first call it compares the
 * life of the log that answers with the one in the home's database, so that nothing is published to, claimed from or
 * answered in the bus of another home that happens to listen there. What cannot be known (no right to read the
 * database, a bus that tells strangers nothing) is let pass.
 * @throws Fault `unreachable` from each call, when another home's bus answers
 */
export function onlyOfHome(client: Client, { databaseLife }: Pick<Surroundings, 'databaseLife'>, file: string): Client {
  let checked: Promise<void> | undefined;

  async function check(): Promise<void> {
    const life = await databaseLife(file);
    if (life.kind === 'unknown') return;
    const { epoch } = await client.health();
    if (epoch === undefined || (life.kind === 'known' && life.epoch === epoch)) return;
    const has = life.kind === 'absent' ? 'there is no database yet' : 'its log is another';
    throw new Fault('unreachable', `No bus runs on this home; the one at ${client.url} works on another (${has}).`, {
      hint: `Start this home's: leveredge bus --home HOME\nOr name the other one, if you mean it: --url ${client.url}`,
    });
  }

  const checkOnce = () => {
    // Who asks again and again, as an agent does, may find the right bus later.
    checked ??= check().catch((error: unknown) => {
      checked = undefined;
      throw error;
    });
    return checked;
  };

  async function* guarded<T>(begin: () => AsyncGenerator<T, void, undefined>) {
    await checkOnce();
    yield* begin();
  }

  return new Proxy(client, {
    get(of, name: keyof Client) {
      const member = of[name];
      if (typeof member !== 'function' || name === 'health') return member;
      const call = member as (...args: unknown[]) => unknown;
      if (name === 'follow' || name === 'takeDeliveries')
        return (...args: unknown[]) => guarded(() => call(...args) as AsyncGenerator<unknown, void, undefined>);
      return async (...args: unknown[]) => {
        await checkOnce();
        return call(...args);
      };
    },
  });
}
