import { Fault } from '../base/fault.ts';
import type { Client } from '../client/client.ts';
import type { Event } from '../events/event.ts';

/** The event with this id; undefined where the bus has purged it, or never had it. @throws Fault as the bus said it */
export async function eventOrNone(client: Pick<Client, 'event'>, id: string): Promise<Event | undefined> {
  try {
    return await client.event(id);
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}
