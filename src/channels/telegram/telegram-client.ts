import type { ApiClientOptions } from 'grammy';
import { fetchOfNode } from './node-fetch.ts';

/** How grammY reaches Telegram: where, and how long a call may take. */
export function telegramClient(apiRoot: string | undefined, timeoutSeconds: number): ApiClientOptions {
  return {
    ...(apiRoot === undefined ? {} : { apiRoot: apiRoot.replace(/\/+$/, '') }),
    timeoutSeconds,
    fetch: fetchOfNode as never,
  };
}
