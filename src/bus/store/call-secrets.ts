import type { Draft } from '../../events/draft.ts';
import type { SecretSide } from '../../events/secret.ts';
import type { Published } from './store.ts';

/** A secret of a call as it is kept: sealed. `until`: milliseconds since the epoch; it is not kept longer. */
export type SealedSecret = {
  call: string;
  side: SecretSide;
  member: string;
  placeholder: string;
  sealed: string;
  until: number;
};

/** That something is kept of one side of a call, and how long at most. */
export type KeptSecrets = Pick<SealedSecret, 'call' | 'side' | 'until'>;

/** What the writer is asked to do with secrets alone. */
export type CallSecretsCommand =
  | { op: 'keep-secrets'; secrets: readonly SealedSecret[] }
  | { op: 'drop-secrets'; call: string; side: SecretSide };

/** The part of the store that keeps the secrets of calls, beside the events. It can open none. */
export type CallSecretStore = {
  /** Publishes, and with what is stored anew keeps these in the same transaction. */
  publishWithSecrets(draft: Draft, secrets: readonly SealedSecret[]): Promise<Published>;
  /** Keeps these, in the place of what was kept of the same members. */
  keepSecrets(secrets: readonly SealedSecret[]): Promise<void>;
  secretsOf(call: string): Promise<SealedSecret[]>;
  /** Of which calls something is kept, in order, at most `limit` sides of them, after one. */
  keptSecrets(limit: number, after?: KeptSecrets): Promise<KeptSecrets[]>;
  /** Forgets those of one side of a call. Safe to repeat. */
  dropSecrets(call: string, side: SecretSide): Promise<void>;
};
