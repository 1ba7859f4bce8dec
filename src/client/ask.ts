import type { Draft } from '../events/draft.ts';
import type { Event } from '../events/event.ts';
import type { Client, PublishReceipt } from './client.ts';
import { firstPauseMs, type Patience, patiently, sleepUnlessAborted } from './patience.ts';
import { publishPatiently } from './publish-patiently.ts';

export type AskOptions = Patience & {
  /** Called once, when the question is on disk. */
  onAsked?: ((receipt: PublishReceipt) => void) | undefined;
  /** For how long the bus may be away before the question is stored. */
  publishPatienceMs?: number;
  /** For how long the bus may be away while the answer is waited for. */
  waitPatienceMs?: number;
};

/** The longest wait that the bus takes in one call. */
const waitSeconds = 50;
const defaultPublishPatienceMs = 3_000;
const defaultWaitPatienceMs = 15 * 60_000;

/**
 * Publishes a question and waits until it is resolved; `human_state` of the answer tells how. The question carries an id
 * from here (the draft's or a new one), so sending it again after a broken connection stores it once, and a restart of
 * the bus in between does no harm. Safe to repeat with the same id.
 * @throws Fault as the bus said it, `unreachable` or `unavailable` when the patience is over (the question may be open
 * then), or the signal's reason.
 */
export async function ask(client: Client, question: Draft, options: AskOptions = {}): Promise<Event> {
  const { publishPatienceMs = defaultPublishPatienceMs, waitPatienceMs = defaultWaitPatienceMs, signal } = options;
  const draft: Draft = { ...question, requires_human: true };
  const receipt = await publishPatiently(client, draft, { ...options, patienceMs: publishPatienceMs });
  const { id } = receipt;
  options.onAsked?.(receipt);
  const again = patiently(options);
  for (;;) {
    // Unbounded on purpose: a question may stay open for ever. A bus that is stopping answers before the time is over,
    // therefore the pause.
    const event = await again(waitPatienceMs, () => client.event(id, { waitSeconds, signal }));
    if (event.human_state !== 'open') return event;
    await (options.sleep ?? sleepUnlessAborted)(firstPauseMs, signal);
  }
}
