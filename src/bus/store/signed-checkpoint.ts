import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { rfc3339 } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';

/** What the chain was at a time, as the bus signed it. */
export type Checkpoint = {
  seq: number;
  /** Of the event with this seq, in hexadecimal. */
  hash: string;
  /** Milliseconds since the epoch. */
  at: number;
  /** The log's life it belongs to. */
  epoch: string;
  key_id: string;
  /** Base64. */
  signature: string;
};

/** A checkpoint as it goes over the wire and is kept elsewhere. */
export const checkpointSchema = z
  .object({
    seq: z.int().min(1).meta({ description: 'The newest event it speaks for' }),
    hash: z.string().meta({ description: 'The hash of that event, in hexadecimal' }),
    at: z.string().meta({ format: 'date-time' }),
    epoch: z.string(),
    key_id: z.string(),
    signature: z.string().meta({ description: 'Ed25519, in base64; docs/audit.md says over which text' }),
  })
  .meta({ id: 'Checkpoint', description: 'What the audit chain was at a time, signed' });

export type WireCheckpoint = z.infer<typeof checkpointSchema>;

/** A checkpoint as it is written for others. */
export function toWire({ at, ...rest }: Checkpoint): WireCheckpoint {
  const { seq, hash, epoch, key_id, signature } = rest;
  return { seq, hash, at: rfc3339(at), epoch, key_id, signature };
}

/** Checkpoints in one file; beyond that something else was given. */
const maxCheckpoints = 1_000_000;

/**
 * Checkpoints as `leveredge audit checkpoint` and the API print them: one a line, or a document that holds them.
 * @throws Fault `usage` for what is none
 */
export function parseCheckpoints(text: string, name: string): Checkpoint[] {
  const whole = jsonIn(text);
  const list =
    whole === undefined
      ? text
          .split('\n')
          .filter((line) => line.trim() !== '')
          .map(jsonIn)
      : listIn(whole);
  if (list.length > maxCheckpoints)
    throw new Fault('usage', `${name} has more than ${maxCheckpoints} checkpoints.`, { hint: 'Split it.' });
  return list.map((each, i) => {
    const parsed = checkpointSchema.safeParse(each);
    const at = parsed.success ? Date.parse(parsed.data.at) : Number.NaN;
    if (parsed.success && !Number.isNaN(at)) return { ...parsed.data, at };
    throw new Fault('usage', `${name}: number ${i + 1} is no checkpoint.`, {
      hint: 'Give what leveredge audit checkpoint printed, one a line.',
    });
  });
}

function listIn(whole: unknown): unknown[] {
  if (Array.isArray(whole)) return whole;
  const { checkpoints } = (whole ?? {}) as { checkpoints?: unknown };
  return Array.isArray(checkpoints) ? checkpoints : [whole];
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Judged by the caller.
  }
}

/** The text that is signed, in this order, each line ended. */
function signedText({ epoch, seq, hash, at, key_id }: Omit<Checkpoint, 'signature'>): Buffer {
  return Buffer.from(
    `leveredge-checkpoint-v1\nepoch=${epoch}\nseq=${seq}\nhash=${hash}\nat=${rfc3339(at)}\nkey=${key_id}\n`,
  );
}

/** Signs what the chain is. */
export function signCheckpoint(unsigned: Omit<Checkpoint, 'signature'>, privateKey: KeyObject): Checkpoint {
  return { ...unsigned, signature: sign(null, signedText(unsigned), privateKey).toString('base64') };
}

/** Whether this key signed this checkpoint just as it is. */
export function isSigned(checkpoint: Checkpoint, publicKey: KeyObject): boolean {
  if (Number.isNaN(new Date(checkpoint.at).getTime())) return false;
  return verify(null, signedText(checkpoint), publicKey, Buffer.from(checkpoint.signature, 'base64'));
}

/** A public key as text: its DER form (SPKI) in base64, as events carry it. */
export function publicKeyText(publicKey: KeyObject): string {
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
}

/** @throws the error of `node:crypto` when it is none */
export function publicKeyOf(text: string): KeyObject {
  return createPublicKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'spki' });
}

/** How a key is called: the beginning of the SHA-256 of its DER form. */
export function keyIdOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' })).slice(0, 16);
}
