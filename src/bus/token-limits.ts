import { Fault } from '../base/fault.ts';
import type { Token } from '../events/token.ts';
import { quoted } from './refusals.ts';

/** Tokens whose use is counted. Whoever is dropped beyond this starts with a full minute again. */
const maxCounted = 10_000;

export type TokenLimits = {
  /**
   * Counts one request of this token.
   * @throws Fault `rate-limited` when it has used its minute up; nobody else is slowed by that
   */
  take(token: Pick<Token, 'id' | 'name' | 'perMinute'>, nowMs: number): void;
};

type Bucket = { left: number; at: number };

/** Requests a minute, for tokens that have a limit: a bucket that holds a minute's worth and fills evenly. In memory. */
export function makeTokenLimits(): TokenLimits {
  const buckets = new Map<string, Bucket>();
  return {
    take({ id, name, perMinute }, now) {
      if (perMinute === null) return;
      const perMs = perMinute / 60_000;
      const bucket = buckets.get(id) ?? { left: perMinute, at: now };
      const passed = Math.max(0, now - bucket.at);
      bucket.left = Math.min(perMinute, bucket.left + passed * perMs);
      bucket.at = now;
      if (!buckets.has(id)) {
        if (buckets.size >= maxCounted) buckets.delete(buckets.keys().next().value as string);
        buckets.set(id, bucket);
      }
      if (bucket.left < 1) throw exhausted(name, perMinute, Math.ceil((1 - bucket.left) / perMs / 1000));
      bucket.left -= 1;
    },
  };
}

function exhausted(name: string, perMinute: number, seconds: number): Fault {
  return new Fault('rate-limited', `The token of ${quoted(name)} may send ${perMinute} requests a minute, and has.`, {
    hint: 'Send it again when Retry-After says, or make a token with a higher --per-minute.',
    extra: { retry_after_seconds: Math.max(1, seconds) },
  });
}
