import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import type { Principal } from '../../events/principal.ts';
import type { Bus } from '../bus.ts';
import { type KeysInUse, keyHelp, keyTaken, replayedHeader, replayedHelp } from '../idempotency.ts';
import { requireMayPublish } from '../permission.ts';
import { problemOf } from '../problem.ts';
import { problemSchema } from '../problem-schema.ts';
import { type Batch, batchBody, batchBodyBytes } from '../publish-body.ts';
import { type Answer, type Route, route } from '../route.ts';
import { maxBatchDrafts, type Once, type Published, type Store } from '../store/store.ts';
import { isRefused, receiptOnTheWire, receiptSchema, refusalOf } from './receipt.ts';
import { warningsSchema } from './warnings.ts';

const path = '/events:batch';

const oneResultSchema = z.union([
  receiptSchema
    .omit({ duplicate: true })
    .extend({ status: z.enum(['created', 'duplicate']).meta({ description: 'duplicate: it was stored before' }) })
    .meta({ id: 'BatchReceipt' }),
  z
    .object({ status: z.literal('refused'), error: problemSchema })
    .meta({ id: 'BatchRefusal', description: 'Why this event was not stored; its pointers begin with its index' }),
]);

/** What a batch is answered with. */
export const batchResultSchema = z
  .object({
    results: z.array(oneResultSchema).meta({ description: 'One for each event, in the order of the batch' }),
    created: z.int().min(0),
    duplicates: z.int().min(0),
    refused: z.int().min(0),
    warnings: warningsSchema,
  })
  .meta({ id: 'BatchResult' });

/**
 * POST /events:batch: many events in one transaction. 200 once all that make sense are on disk, also when none does:
 * what became of each stands in its result.
 */
export function publishBatch({ store }: Bus, keys: KeysInUse): Route {
  return route({
    method: 'POST',
    path,
    operationId: 'publishBatch',
    tag: 'Events',
    needs: 'publish',
    summary: 'Publish many events at once',
    description: `A list of 1 to ${maxBatchDrafts} events, of at most ${batchBodyBytes / 1024 / 1024} MiB together and 256 KiB each. Each has a result of its own, in order; one that is refused takes no other with it, and the answer is 200 also when all are refused. What is stored is stored in one transaction: when the disk fails, nothing is.`,
    headers: { 'Idempotency-Key': keyHelp },
    body: batchBody,
    answers: {
      200: {
        description: 'What became of each event',
        schema: batchResultSchema,
        headers: replayedHelp,
      },
    },
    faults: ['still-running'],
    handle: (ask) => keys.run(path, ask, (once) => publishAll(store, ask.body, ask.principal, once)),
  });
}

/**
 * Publishes a batch and tells what became of each event.
 * @throws Fault `invalid` when the key is another request's.
 */
export async function publishAll(
  store: Store,
  batch: Batch,
  principal: Principal,
  once: Once | undefined,
): Promise<Answer> {
  const { drafts, refused } = permitted(batch, principal);
  const nothing = once === undefined && refused.size === drafts.length;
  const done = nothing ? noneStored(drafts) : await store.publishBatch(drafts, once);
  if (done.kind === 'key-taken') throw keyTaken(once?.key ?? '');
  const counts = { created: 0, duplicates: 0, refused: 0 };
  const results = done.outcomes.map((published, i) => {
    if (published === null) {
      counts.refused++;
      return refusal(refused.get(i) ?? refusedBefore(i));
    }
    if (isRefused(published)) {
      counts.refused++;
      return refusal(refusalOf(published, drafts[i]?.id ?? '', `/${i}`));
    }
    counts[published.kind === 'stored' ? 'created' : 'duplicates']++;
    const { kind, receipt } = published;
    const status = kind === 'stored' ? 'created' : 'duplicate';
    const result = receiptOnTheWire(receipt, store.epoch, drafts[i]?.requires_human, status);
    const warnings = batch.warnings.get(i);
    return warnings === undefined ? result : { ...result, warnings };
  });
  const body = { results, ...counts };
  return done.replayed ? { status: 200, body, headers: { [replayedHeader]: 'true' } } : { status: 200, body };
}

/** The batch, without what this caller may not publish: each of those is refused for itself. */
function permitted(batch: Batch, principal: Principal): Pick<Batch, 'drafts' | 'refused'> {
  if (principal.kind === 'anonymous') return batch;
  const refused = new Map(batch.refused);
  const drafts = batch.drafts.map((draft, i) => {
    if (draft === null) return null;
    try {
      requireMayPublish(principal, draft);
      return draft;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      refused.set(i, error);
      return null;
    }
  });
  return { drafts, refused };
}

function noneStored(drafts: readonly unknown[]) {
  const outcomes: (Published | null)[] = drafts.map(() => null);
  return { kind: 'published' as const, outcomes, replayed: false };
}

function refusal(fault: Fault) {
  return { status: 'refused', error: problemOf(fault).body };
}

/** The bus, or what the caller may do, has changed between two sendings of the same request. */
function refusedBefore(index: number): Fault {
  return new Fault('invalid', `The event /${index} was refused when this request first came.`, {
    hint: 'Publish it again under another Idempotency-Key.',
  });
}
