import type { Clock } from '../../../base/clock.ts';
import { Refused } from './refusals.ts';

/** How many messages a bot may send, as Telegram's FAQ tells; a test may have others. */
export type Limits = {
  /** So many at once go through in one chat before a message a second is asked for. Telegram does not say how many. */
  chatBurst: number;
  chatPerSecond: number;
  groupPerMinute: number;
  overallPerSecond: number;
};

export const telegramsLimits: Limits = { chatBurst: 5, chatPerSecond: 1, groupPerMinute: 20, overallPerSecond: 30 };

/** Who goes on sending while told to wait is refused until that time is over. */
export type Flood = {
  /** Counts a message. @throws Refused `chat-flooded`, `group-flooded`, `all-flooded` */
  count(chat: number): void;
};

type Bucket = { left: number; at: number; closedUntil: number };
type Rule = {
  refusal: 'chat-flooded' | 'group-flooded' | 'all-flooded';
  key: string;
  burst: number;
  perSecond: number;
};

/** Token buckets: one for each chat, one for each group and one over all. Time is an argument, so a test moves it. */
export function makeFlood(limits: Limits, clock: Clock): Flood {
  const buckets = new Map<string, Bucket>();
  return {
    count(chat) {
      const now = clock();
      const { chatBurst, chatPerSecond, groupPerMinute, overallPerSecond } = limits;
      const rules: Rule[] = [
        { refusal: 'all-flooded', key: 'all', burst: overallPerSecond, perSecond: overallPerSecond },
        { refusal: 'chat-flooded', key: `chat ${chat}`, burst: chatBurst, perSecond: chatPerSecond },
      ];
      if (chat < 0)
        rules.push({
          refusal: 'group-flooded',
          key: `group ${chat}`,
          burst: groupPerMinute,
          perSecond: groupPerMinute / 60,
        });
      const filled = rules.map((rule) => fill(buckets, rule, now));
      for (const [at, { refusal, perSecond }] of rules.entries()) {
        const bucket = filled[at] as Bucket;
        if (bucket.closedUntil <= now && bucket.left >= 1) continue;
        if (bucket.closedUntil <= now)
          bucket.closedUntil = now + Math.max(1000, ((1 - bucket.left) / perSecond) * 1000);
        throw new Refused(refusal, { retryAfter: Math.ceil((bucket.closedUntil - now) / 1000) });
      }
      for (const bucket of filled) bucket.left -= 1;
    },
  };
}

function fill(buckets: Map<string, Bucket>, { key, burst, perSecond }: Rule, now: number): Bucket {
  const bucket = buckets.get(key) ?? { left: burst, at: now, closedUntil: 0 };
  bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
  bucket.at = now;
  buckets.set(key, bucket);
  return bucket;
}
