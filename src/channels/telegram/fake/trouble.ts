import type { Refused } from './refusals.ts';

/**
 * What can be made to happen to the next calls of a bot. `429`, `500` and `409` are answered in place of the result; `silence`
 * answers nothing and `cut` breaks the connection, both before the call was done; `cut-after` breaks it when it has been done.
 */
export const troubleKinds = ['429', '500', '409', 'silence', 'cut', 'cut-after'] as const;
export type TroubleKind = (typeof troubleKinds)[number];

export type Trouble = {
  kind: TroubleKind;
  /** In small letters; every method when left out. */
  method: string | undefined;
  /** How many calls still meet it. */
  times: number;
  retryAfter: number;
};

/** Trouble that is on its way, for one bot. */
export type Troubles = {
  add(bot: string, trouble: Trouble): void;
  /** The trouble that this call meets; each call uses up one. */
  take(bot: string, method: string): Trouble | undefined;
  clear(): void;
};

export function makeTroubles(): Troubles {
  const coming = new Map<string, Trouble[]>();
  return {
    add: (bot, trouble) => void coming.set(bot, [...(coming.get(bot) ?? []), trouble]),
    take(bot, method) {
      const list = coming.get(bot) ?? [];
      const found = list.find((each) => each.method === undefined || each.method === method);
      if (!found) return undefined;
      found.times -= 1;
      if (found.times <= 0) list.splice(list.indexOf(found), 1);
      return found;
    },
    clear: () => coming.clear(),
  };
}

/** What is answered in place of the result; undefined where nothing is answered. */
export function answerOf({ kind, retryAfter }: Trouble): { code: number; body: Record<string, unknown> } | undefined {
  switch (kind) {
    case '429':
      return failure(429, `Too Many Requests: retry after ${retryAfter}`, retryAfter);
    case '500':
      return failure(500, 'Internal Server Error: restart');
    case '409':
      return failure(
        409,
        'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
      );
    default:
      return undefined;
  }
}

/** A refusal as Telegram words it on the wire. */
function failure(code: number, description: string, retryAfter?: number) {
  const parameters = retryAfter === undefined ? {} : { parameters: { retry_after: retryAfter } };
  return { code, body: { ok: false, error_code: code, description, ...parameters } };
}

export const failureOf = ({ code, message, retryAfter }: Refused) => failure(code, message, retryAfter);
