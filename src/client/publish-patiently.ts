import { systemClock } from '../base/clock.ts';
import { uuidV7Maker } from '../base/uuid-v7.ts';
import type { Draft } from '../events/draft.ts';
import type { Client, PublishReceipt } from './client.ts';
import { type Patience, patiently } from './patience.ts';

export type PublishPatience = Patience & {
  /** For how long the bus may be away before this gives up. */
  patienceMs?: number;
};

const defaultPatienceMs = 5 * 60_000;

/**
 * Publishes an event that must not be lost because the bus restarts just now. It carries an id from here (the draft's or
 * a new one), so sending it again after a broken connection stores it once. Safe to repeat with the same id.
 * @throws Fault as the bus said it, `unreachable` or `unavailable` when the patience is over (the event may be stored
 * then; the same id settles it), or the signal's reason.
 */
export async function publishPatiently(
  client: Pick<Client, 'publish'>,
  event: Draft,
  options: PublishPatience = {},
): Promise<PublishReceipt> {
  const draft = { ...event, id: event.id ?? uuidV7Maker(options.clock ?? systemClock)() };
  const { patienceMs = defaultPatienceMs, signal } = options;
  return patiently(options)(patienceMs, () => client.publish(draft, { signal }));
}
