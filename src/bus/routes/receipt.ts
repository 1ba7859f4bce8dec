import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { bookmarkOf } from '../../events/bookmark.ts';
import { maxDeliverAheadDays } from '../../events/draft.ts';
import { quoted } from '../refusals.ts';
import type { Published, Receipt } from '../store/store.ts';
import { warningsSchema } from './warnings.ts';

/** What a publish is answered with. */
export const receiptSchema = z
  .object({
    id: z.string(),
    status: z.literal('created'),
    duplicate: z.literal(true).optional().meta({ description: 'The same event was stored under this id before' }),
    subscribed_agents: z.array(z.string()).meta({ description: 'Who hears it, best priority first' }),
    timestamp: z.string().meta({ format: 'date-time' }),
    bookmark: z.string().meta({ description: 'Its place in the log, opaque' }),
    timeout_at: z.string().nullable().optional().meta({ description: 'Only for a question; null waits for ever' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Receipt' });

/** A receipt as the wire has it. `status`: `created`, but for a duplicate in a batch. */
export function receiptOnTheWire(
  receipt: Receipt,
  epoch: string,
  question: boolean | null | undefined,
  status: 'created' | 'duplicate' = 'created',
) {
  const answer = {
    id: receipt.id,
    status,
    subscribed_agents: receipt.subscribedAgents,
    timestamp: receipt.timestamp,
    bookmark: bookmarkOf(epoch, receipt.seq),
  };
  return question ? { ...answer, timeout_at: receipt.timeoutAt } : answer;
}

type Refused = Exclude<Published, { receipt: Receipt }>;

/** Whether the store has refused the event. */
export function isRefused(published: Published): published is Refused {
  return !('receipt' in published);
}

/** Why the store has refused it. `place`: where the event stands in a batch, as a pointer. */
export function refusalOf(refused: Refused, id: string, place?: string): Fault {
  if (refused.kind === 'too-far-ahead') {
    const detail = `is more than ${maxDeliverAheadDays} days ahead`;
    return new Fault('invalid', `The event makes no sense: deliver_at ${detail}.`, {
      mistakes: [{ pointer: `${place ?? ''}/deliver_at`, detail }],
    });
  }
  return new Fault(
    'conflict',
    `The id ${quoted(id)} already names another event, published by ${quoted(refused.by)}.`,
    {
      hint: 'Send this event under another id, or without one. Only the very same event may be sent again under its id.',
      mistakes: place === undefined ? [] : [{ pointer: `${place}/id`, detail: 'already names another event' }],
    },
  );
}
