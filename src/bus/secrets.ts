import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import type { JsonObject } from '../base/json.ts';
import { maxSecretLength, type SecretSide, type SecretValues } from '../events/secret.ts';
import type { SecretsKey } from './secrets-key.ts';
import type { CallSecretStore, SealedSecret } from './store/call-secrets.ts';

/** How long the secret arguments of a call are kept when it comes to no end: over a question and a night. */
const argumentsKeptMs = 24 * 3_600_000;
/** How long whoever called may fetch the secrets of a result. */
export const resultKeptMs = 10 * 60_000;

const cipher = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;

/** The secrets of calls: what stands for them in events, and what opens them. */
export type Secrets = {
  /**
   * Seals these, kept nowhere yet, and says what stands for each in events. It is the same for the same value of the same
   * member of the same call. @throws Fault `too-large`, `unavailable`
   */
  seal(call: string, side: SecretSide, values: SecretValues): readonly SealedSecret[];
  /**
   * The values of one side of a call, as far as they are kept and are those that its event (`said`) stands for.
   * @throws Fault `not-found` when one that the event stands for is not kept any more
   */
  open(call: string, side: SecretSide, said: JsonObject, members: readonly string[]): Promise<SecretValues>;
  /** Say it when something was kept, and `whenKept` is called. */
  noteKept(): void;
  whenKept(listener: () => void): void;
};

type SecretsDeps = { store: Pick<CallSecretStore, 'secretsOf'>; key: () => SecretsKey; clock: Clock };

/** `key` is asked for at the first secret: where there is none no key is needed. */
export function makeSecrets({ store, key, clock }: SecretsDeps): Secrets {
  const listeners: (() => void)[] = [];
  return {
    noteKept() {
      for (const each of listeners) each();
    },
    whenKept: (listener) => void listeners.push(listener),
    seal(call, side, values) {
      const until = clock() + (side === 'result' ? resultKeptMs : argumentsKeptMs);
      return Object.entries(values).map(([member, value]) => {
        if (value.length > maxSecretLength) throw tooLong(member);
        const placeholder = placeholderOf(key(), [call, side, member], value);
        return {
          call,
          side,
          member,
          placeholder,
          sealed: seal(key(), [call, side, member, placeholder], value),
          until,
        };
      });
    },
    async open(call, side, said, members) {
      const wanted = members.filter((member) => typeof said[member] === 'string');
      if (wanted.length === 0) return {};
      const rows = (await store.secretsOf(call)).filter((row) => row.side === side && row.until > clock());
      return Object.fromEntries(
        wanted.map((member) => {
          const row = rows.find((each) => each.member === member && each.placeholder === said[member]);
          const value = row && unseal(key(), [call, side, member, row.placeholder], row.sealed);
          if (value === undefined) throw gone(call, side, member);
          return [member, value];
        }),
      );
    },
  };
}

/** Keyed, so that whoever reads the log can try no guesses, however few values there may be. */
function placeholderOf({ bind }: SecretsKey, of: readonly string[], value: string): string {
  const digest = createHmac('sha256', bind).update(JSON.stringify([...of, value]));
  return `secret:${digest.digest('base64url')}`;
}

/** Bound to its place, so that a row that was moved or exchanged opens nothing. */
function seal({ seal: secret }: SecretsKey, place: readonly string[], value: string): string {
  const iv = randomBytes(ivBytes);
  const sealing = createCipheriv(cipher, secret, iv).setAAD(Buffer.from(JSON.stringify(place)));
  const body = Buffer.concat([sealing.update(value, 'utf8'), sealing.final()]);
  return Buffer.concat([iv, sealing.getAuthTag(), body]).toString('base64');
}

/** Undefined where it was sealed with another key, for another place, or was changed. */
function unseal({ seal: secret }: SecretsKey, place: readonly string[], sealed: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  if (bytes.length < ivBytes + tagBytes) return undefined;
  try {
    const opening = createDecipheriv(cipher, secret, bytes.subarray(0, ivBytes))
      .setAAD(Buffer.from(JSON.stringify(place)))
      .setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
    return Buffer.concat([opening.update(bytes.subarray(ivBytes + tagBytes)), opening.final()]).toString('utf8');
  } catch {
    return undefined; // What cannot be opened is as good as gone.
  }
}

function tooLong(member: string): Fault {
  return new Fault(
    'too-large',
    `The secret ${member} is longer than ${maxSecretLength / 1024} KiB, which is the limit.`,
  );
}

function gone(call: string, side: SecretSide, member: string): Fault {
  const why =
    side === 'result'
      ? `it is for ${resultKeptMs / 60_000} minutes after the call was done`
      : 'it is until the call is over, for a day at most';
  return new Fault('not-found', `The secret ${member} of the call ${call} is not kept any more: ${why}.`, {
    hint: 'Call it again.',
  });
}
