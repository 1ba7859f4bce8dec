import type { ApiClientOptions } from 'grammy';
import { smallFetch } from './small-fetch.ts';

/** How grammY reaches Telegram: where, and how long a call may take. */
export function telegramClient(apiRoot: string | undefined, timeoutSeconds: number): ApiClientOptions {
  return {
    ...(apiRoot === undefined ? {} : { apiRoot: apiRoot.replace(/\/+$/, '') }),
    timeoutSeconds,
    fetch: smallFetch as never,
  };
}
