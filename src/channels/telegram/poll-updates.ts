import { type Api, GrammyError } from 'grammy';
import type { Update } from 'grammy/types';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';

export type Polling = {
  api: Pick<Api, 'getUpdates'>;
  pollSeconds: number;
  /** Done once for each update, in order. Updates come again after a crash. */
  handle(update: Update): Promise<void>;
  /** Somebody else reads the updates of this bot. */
  onOtherPoller(): Promise<void>;
  log: Log;
  signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** How long Telegram holds a poll when there is nothing. */
export const usualPollSeconds = 30;
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;

/** What is asked for; what somebody changes afterwards is no command. */
const wanted = ['message', 'callback_query', 'my_chat_member'] as const;

/**
 * Long polling until the signal. It lives with everything that passes: too many requests, a server that fails, silence, and another
 * poller, which is told. @throws Fault `unauthorized` when the token is none
 */
export async function pollUpdates({
  api,
  pollSeconds,
  handle,
  onOtherPoller,
  log,
  signal,
  sleep,
}: Polling): Promise<void> {
  let offset: number | undefined;
  let pauseMs = firstPauseMs;
  while (!signal.aborted) {
    try {
      const updates = await api.getUpdates(
        { timeout: pollSeconds, allowed_updates: wanted, ...(offset === undefined ? {} : { offset }) },
        signal as never,
      );
      pauseMs = firstPauseMs;
      for (const update of updates) {
        await handle(update);
        offset = update.update_id + 1;
        if (signal.aborted) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isRevoked(error)) throw noToken(error);
      if (error instanceof GrammyError && error.error_code === 409) await onOtherPoller();
      else log.warn('Telegram cannot be asked for updates; trying again', { because: reasonOf(error) });
      const asked = error instanceof GrammyError ? (error.parameters.retry_after ?? 0) * 1000 : 0;
      await sleep(Math.max(asked, pauseMs), signal).catch(() => undefined /* the loop looks at the signal */);
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }
}

/** Whether Telegram says that the token is none: revoked, or never one. */
export function isRevoked(error: unknown): boolean {
  return error instanceof GrammyError && (error.error_code === 401 || error.error_code === 404);
}

/** What a person does about it. The token itself is in none of our sentences. */
export function noToken(cause: unknown): Fault {
  return new Fault(
    'unauthorized',
    'Telegram does not take the token of the control bot: it was revoked, or never was one.',
    {
      hint: 'Get a new one from @BotFather, then: leveredge telegram setup',
      cause,
    },
  );
}
