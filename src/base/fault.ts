/**
 * What a caller can only pass on: a failure with a sentence for a person. Failures the caller must choose between are
 * unions (`{ kind: … }`), and our own mistakes are assertions; see the house's rules in CONTRIBUTING.md.
 */
export type FaultCode =
  | 'usage'
  | 'malformed'
  | 'invalid'
  | 'asks-nothing'
  | 'unsupported-media-type'
  | 'too-large'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'already-resolved'
  | 'conflict'
  | 'still-running'
  | 'lease-lost'
  | 'cursor-invalid'
  | 'queue-full'
  | 'rate-limited'
  | 'storage-full'
  | 'unavailable'
  | 'internal'
  | 'damaged'
  | 'newer-schema'
  | 'locked'
  | 'port-taken'
  | 'unreachable';

/** One thing wrong with an input. `pointer` is an RFC 6901 JSON pointer into the body, or the parameter's name. */
export type Mistake = { pointer: string; detail: string };

type FaultExtras = {
  /** What to do next, as a sentence. */
  hint?: string | undefined;
  /** Every mistake found, not only the first. */
  mistakes?: readonly Mistake[] | undefined;
  /** Further members for the wire, such as the winner of a race. Never a secret. */
  extra?: Readonly<Record<string, unknown>> | undefined;
  cause?: unknown;
};

/** Thrown where the caller can only pass it on. Its message and hint are read by a person, and hold no secret. */
export class Fault extends Error {
  readonly code: FaultCode;
  readonly hint: string | undefined;
  readonly mistakes: readonly Mistake[];
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(code: FaultCode, sentence: string, { hint, mistakes, extra, cause }: FaultExtras = {}) {
    super(sentence, cause === undefined ? undefined : { cause });
    this.name = 'Fault';
    this.code = code;
    this.hint = hint;
    this.mistakes = mistakes ?? [];
    this.extra = extra ?? {};
  }
}

/** A thrown value as one line of text, whatever it is. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
