import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Fault } from '../base/fault.ts';
import { parseJson } from '../base/json.ts';
import { quoted } from './refusals.ts';

/** Bytes of a request's body, where the call says nothing else. */
export const usualBodyBytes = 256 * 1024;

/** What arrived as the body, before anyone looks into it. */
export type RawBody =
  | { kind: 'bytes'; bytes: Buffer }
  | { kind: 'too-large'; maxBytes: number }
  | { kind: 'no-room' }
  | { kind: 'cut-short' };

/** Bytes of bodies above the usual size that arrive at the same time, over all connections. */
const maxHeldBytes = 256 * 1024 * 1024;

export type BodyReader = (request: IncomingMessage, maxBytes: number, done: (body: RawBody) => void) => void;

/**
 * Reads bodies up to their limit. Beyond it the rest is let run past unread: closing the connection at once would reset
 * it, and the sender would see that instead of the 413. `done` is called once. Large bodies that arrive together may
 * have `maxHeld` bytes: a limit for each of thousands of connections is none for all of them.
 */
export function bodyReader(maxHeld = maxHeldBytes): BodyReader {
  let held = 0;
  return (request, maxBytes, done) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let counted = 0;
    let isDone = false;
    // Taking the listeners off again costs more than letting them find that all is done.
    const finish = (body: RawBody) => {
      if (isDone) return;
      isDone = true;
      held -= counted;
      done(body);
    };
    const giveUp = (body: RawBody) => {
      chunks.length = 0;
      finish(body);
    };
    request.on('data', (chunk: Buffer) => {
      if (isDone) return;
      size += chunk.length;
      if (size > maxBytes) return giveUp({ kind: 'too-large', maxBytes });
      if (size > usualBodyBytes) {
        held += size - counted;
        counted = size;
        if (held > maxHeld) return giveUp({ kind: 'no-room' });
      }
      chunks.push(chunk);
    });
    request.on('end', () => {
      if (!isDone)
        finish({ kind: 'bytes', bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size) });
    });
    request.on('error', () => finish({ kind: 'cut-short' }));
    request.on('close', () => finish({ kind: 'cut-short' }));
  };
}

/**
 * The JSON value of a body. No Content-Type or an empty one, and the two that curl and shells send unasked, are taken as JSON.
 * @throws Fault `too-large`, `unsupported-media-type`, `malformed` or, for what would not survive storing, `invalid`.
 */
export function jsonOf(body: RawBody, contentType: string | undefined): unknown {
  return parseJson(textOf(body, contentType));
}

/**
 * The text of a body that is announced as JSON or as one of the other types that this call takes.
 * @throws Fault `too-large`, `unsupported-media-type`, `malformed`
 */
export function textOf(body: RawBody, contentType: string | undefined, accepts: readonly string[] = []): string {
  const bytes = bytesOf(body);
  if (bytes.length === 0) throw emptyBody();
  requireJson(contentType, accepts);
  if (!isUtf8(bytes))
    throw new Fault('malformed', 'The body is not valid UTF-8.', { hint: 'JSON is always sent as UTF-8.' });
  const text = bytes.toString('utf8');
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/**
 * The bytes of a body that arrived whole.
 * @throws Fault `too-large`, `malformed`
 */
export function bytesOf(body: RawBody): Buffer {
  if (body.kind === 'cut-short')
    throw new Fault('malformed', 'The connection ended before the whole body had arrived.');
  if (body.kind === 'too-large')
    throw new Fault('too-large', `The body is larger than ${body.maxBytes / 1024} KiB, which is the limit.`, {
      hint:
        body.maxBytes > usualBodyBytes
          ? 'Send fewer events at a time.'
          : 'Store large data elsewhere and send a reference to it in details.',
    });
  if (body.kind === 'no-room')
    throw new Fault('unavailable', 'Too many large bodies arrive at the same time; nothing was stored.', {
      hint: 'Send it again in a moment, or fewer events at a time.',
    });
  return body.bytes;
}

function emptyBody(): Fault {
  return new Fault('malformed', 'The body is empty; a JSON object is needed.', {
    hint: `With curl: curl --json '{"…": "…"}' URL. See /docs for the fields.`,
  });
}

const takenAsJson = /^(application\/json|application\/[\w.-]+\+json|text\/plain|application\/x-www-form-urlencoded)$/;

function requireJson(contentType: string | undefined, accepts: readonly string[]): void {
  if (contentType === undefined || contentType === 'application/json') return;
  const announced = contentType.trim();
  if (announced === '') return;
  const mediaType = mediaTypeOf(announced);
  if (accepts.includes(mediaType)) return;
  if (mediaType.startsWith('application/cloudevents'))
    throw new Fault('unsupported-media-type', `This call does not take ${quoted(mediaType)}.`, {
      hint: 'CloudEvents are published with POST /events, one or a batch, as JSON. Elsewhere send the plain body (see /docs).',
    });
  if (!takenAsJson.test(mediaType))
    throw new Fault(
      'unsupported-media-type',
      `The body is announced as ${quoted(mediaType || announced)}, but JSON is needed.`,
      {
        hint: 'Send it with Content-Type: application/json.',
      },
    );
}

/** A Content-Type without its parameters, in small letters. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';', 1)[0] as string).trim().toLowerCase();
}
