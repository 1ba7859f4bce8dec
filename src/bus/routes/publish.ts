import type { Draft } from '../../events/draft.ts';
import type { Bus } from '../bus.ts';
import { type KeysInUse, keyHeader, keyHelp, keyTaken, replayedHeader, replayedHelp } from '../idempotency.ts';
import { requireMayPublish } from '../permission.ts';
import { problemMediaType, problemOf } from '../problem.ts';
import { isBatch, publishBody } from '../publish-body.ts';
import { type Answer, type Route, route } from '../route.ts';
import type { Published } from '../store/store.ts';
import { batchResultSchema, publishAll } from './publish-batch.ts';
import { isRefused, receiptOnTheWire, receiptSchema, refusalOf } from './receipt.ts';

const path = '/events';

/**
 * POST /events: 201 once the event is on disk, 200 if the same event was stored under this id before. A sender that got
 * no answer may send the same id again: that is what the 200 is for.
 */
export function publish({ store }: Bus, keys: KeysInUse): Route {
  return route({
    method: 'POST',
    path,
    operationId: 'publish',
    tag: 'Events',
    needs: 'publish',
    summary: 'Publish an event',
    description:
      'Answered once the event is on disk. Give an id of your own to make sending again safe. With requires_human it is a question to a person; wait for the answer with GET /events/{id}?wait=50. CloudEvents 1.0 are taken in all three modes: structured, binary (with the attributes as ce-… headers and the data as the body) and batch, which is answered as POST /events:batch answers. With a token source_agent is its name, the action matches one of its patterns, and a question needs ask besides.',
    headers: { 'Idempotency-Key': keyHelp },
    body: publishBody,
    answers: {
      201: {
        description: 'Stored',
        schema: receiptSchema,
        headers: replayedHelp,
      },
      200: {
        description: 'The same event was stored under this id before; or, to a batch, what became of each event',
        schema: receiptSchema.or(batchResultSchema),
        headers: replayedHelp,
      },
    },
    faults: ['conflict', 'still-running'],
    async handle(ask) {
      const { body, headers, principal } = ask;
      if (isBatch(body)) return keys.run(path, ask, (once) => publishAll(store, body, principal, once));
      requireMayPublish(principal, body);
      if (headers[keyHeader] === undefined) return answerOf(await store.publish(body), body, store.epoch);
      return keys.run(path, ask, async (once) => {
        const done = await store.publishBatch([body], once);
        if (done.kind === 'key-taken') throw keyTaken(once?.key ?? '');
        const [published] = done.outcomes as [Published];
        if (!done.replayed) return answerOf(published, body, store.epoch);
        return replayed(published, body, store.epoch);
      });
    },
  });
}

function answerOf(published: Published, draft: Draft, epoch: string): Answer & { body: object } {
  if (isRefused(published)) throw refusalOf(published, draft.id ?? '');
  const { receipt } = published;
  const body = receiptOnTheWire(receipt, epoch, draft.requires_human);
  return published.kind === 'stored'
    ? { status: 201, body, location: `/events/${encodeURIComponent(receipt.id)}` }
    : { status: 200, body: { ...body, duplicate: true } };
}

const again = { [replayedHeader]: 'true' };

/** The answer of the first time, marked; a refusal too. */
function replayed(published: Published, draft: Draft, epoch: string): Answer {
  if (!isRefused(published)) return { ...answerOf(published, draft, epoch), headers: again };
  const { status, body } = problemOf(refusalOf(published, draft.id ?? ''));
  return { status, text: JSON.stringify(body), contentType: problemMediaType, headers: again };
}
