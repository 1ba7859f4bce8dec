import { rfc3339 } from '../../../base/clock.ts';
import type { NewSubscription, Subscription, SubscriptionChange } from '../../../events/subscription.ts';
import type { SubscriptionAdded } from '../store.ts';
import type { Ledger } from './ledger.ts';
import { findSubscription, putSubscription, readSubscription } from './subscription-rows.ts';

/** Adds one, or revives what an operator had deleted. */
export function addSubscription(
  ledger: Ledger,
  wanted: NewSubscription,
  origin: 'operator' | 'agent',
): SubscriptionAdded {
  const { only_if_new: onlyIfNew, ...fields } = wanted;
  const existing = findSubscription(ledger.db, wanted.agent_name, wanted.action_pattern);
  if (existing && (onlyIfNew || existing.deleted_at === null)) return { kind: 'exists', subscription: existing };
  const now = rfc3339(ledger.clock());
  const id = existing?.id ?? ledger.newId();
  const created_at = existing?.created_at ?? now;
  const subscription = { ...fields, id, origin, created_at, updated_at: now, deleted_at: null };
  putSubscription(ledger.db, subscription);
  ledger.subscriptionsChanged();
  return { kind: 'added', subscription };
}

/** Undefined when there is none, or only its tombstone. */
export function changeSubscription(ledger: Ledger, id: string, change: SubscriptionChange): Subscription | undefined {
  const existing = readSubscription(ledger.db, id);
  if (!existing || existing.deleted_at !== null) return undefined;
  const { priority, enabled, mode, except } = change;
  const changed: Subscription = {
    ...existing,
    priority: priority ?? existing.priority,
    enabled: enabled ?? existing.enabled,
    mode: mode ?? existing.mode,
    except: except ?? existing.except,
    updated_at: rfc3339(ledger.clock()),
  };
  putSubscription(ledger.db, changed);
  ledger.subscriptionsChanged();
  return changed;
}

/** Leaves a tombstone; deleting again changes nothing. */
export function deleteSubscription(ledger: Ledger, id: string): Subscription | undefined {
  const existing = readSubscription(ledger.db, id);
  if (!existing || existing.deleted_at !== null) return existing;
  const now = rfc3339(ledger.clock());
  const deleted = { ...existing, enabled: false, updated_at: now, deleted_at: now };
  putSubscription(ledger.db, deleted);
  ledger.subscriptionsChanged();
  return deleted;
}
