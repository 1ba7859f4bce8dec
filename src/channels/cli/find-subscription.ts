import { Fault } from '../../base/fault.ts';
import { pickByPrefix } from '../../base/pick-by-prefix.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Client } from '../../client/client.ts';
import type { Subscription } from '../../events/subscription.ts';

const seeAlso = 'See: leveredge subscriptions list --deleted';

/**
 * A subscription by its id, the beginning of its id, or by agent and pattern.
 * @throws Fault `not-found`, or `usage` when several begin so.
 */
export async function findSubscription(
  client: Client,
  idOrAgent: string,
  pattern: string | undefined,
): Promise<Subscription> {
  const all = await client.subscriptions({ deleted: true });
  if (pattern !== undefined) {
    const found = all.find((s) => s.agent_name === idOrAgent && s.action_pattern === pattern);
    if (found) return found;
    const own = all.filter((s) => s.agent_name === idOrAgent && s.deleted_at === null);
    const has = own.length > 0 ? ` ${idOrAgent} has: ${own.map((s) => s.action_pattern).join(', ')}.` : '';
    throw new Fault('not-found', `${idOrAgent} has no subscription to ${pattern}.${has}`, { hint: seeAlso });
  }
  const id = pickByPrefix(
    idOrAgent,
    all.map((s) => s.id),
    'subscription',
    `${seeAlso}. Or give agent and pattern: AEGIS 'credential_*'`,
  );
  return all.find((s) => s.id === id) as Subscription;
}

/**
 * The same, for what a deleted subscription cannot take.
 * @throws Fault `not-found`, also for a deleted one.
 */
export async function findLiveSubscription(
  client: Client,
  idOrAgent: string,
  pattern: string | undefined,
): Promise<Subscription> {
  const found = await findSubscription(client, idOrAgent, pattern);
  const { agent_name, action_pattern, deleted_at } = found;
  if (deleted_at === null) return found;
  throw new Fault(
    'not-found',
    `The subscription of ${agent_name} to ${action_pattern} is deleted since ${deleted_at}.`,
    {
      hint: `Add it again: leveredge subscriptions add ${shellWord(agent_name)} ${shellWord(action_pattern)}`,
    },
  );
}
