import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../base/json.ts';
import type { Client } from '../client/client.ts';
import { patiently } from '../client/patience.ts';
import type { CallDetails, Capability } from '../events/capability.ts';
import { redactorOf, secretMembers, secretsIn } from '../events/secret.ts';

/** How long a bus that is away is waited for: a restart of it is no reason that the call has failed. */
const patienceMs = 5 * 60_000;

/** What is secret of one call, for as long as its agent works on it. */
export type CallSecrets = {
  /** The arguments with the values of those that are secret. */
  opened(): Promise<JsonObject>;
  /** Arguments as events may have them: with the placeholders of the call. */
  masked(args: JsonObject): JsonObject;
  /** Notes the secrets of a result, before anything is said of it. */
  seen(result: JsonObject): void;
  /** Hands the secrets of a result over to the bus, and answers the result as events may have it. */
  handedOver(result: JsonObject): Promise<JsonObject>;
  /** Without any secret that was seen so far. */
  redacted<T extends Json>(said: T): T;
};

type Due = { capability: Capability; id: string; details: CallDetails };

/** Opens nothing yet. */
export function secretsOfCall(client: Client, { capability, id, details }: Due, signal: AbortSignal): CallSecrets {
  const seen: string[] = [];
  const again = patiently({ signal });
  const placeholders = secretsIn(capability.input, details.arguments);
  const redacted = <T extends Json>(said: T): T => redactorOf(seen)(said);
  return {
    redacted,
    async opened() {
      if (Object.keys(placeholders).length === 0) return details.arguments;
      const { arguments: values } = await again(patienceMs, () => client.callSecrets(id, signal));
      seen.push(...Object.values(values));
      return { ...details.arguments, ...values };
    },
    masked(args) {
      const open = Object.entries(args)
        .filter(([key]) => !secretMembers(capability.input).includes(key))
        // What came with the call is in its event already, and may be the same word by chance.
        .map(([key, value]) => [key, isDeepStrictEqual(value, details.arguments[key]) ? value : redacted(value)]);
      return { ...Object.fromEntries(open), ...placeholders };
    },
    seen(result) {
      seen.push(...Object.values(secretsIn(capability.output, result)));
    },
    async handedOver(result) {
      const values = secretsIn(capability.output, result);
      if (Object.keys(values).length === 0) return redacted(result);
      const kept = await again(patienceMs, () => client.keepCallSecrets(id, values, signal));
      const open = Object.entries(result).filter(([key]) => !(key in values));
      return { ...redacted(Object.fromEntries(open)), ...kept.result };
    },
  };
}
