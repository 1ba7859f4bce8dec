import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { Fault } from '../base/fault.ts';
import { parseJson } from '../base/json.ts';
import { quoted } from './refusals.ts';

/** Bytes of a request's body. */
export const maxBodyBytes = 256 * 1024;

/** What arrived as the body, before anyone looks into it. */
export type RawBody = { kind: 'bytes'; bytes: Buffer; contentType: string | undefined } | { kind: 'too-large' };

/**
 * Hides the Content-Type from the framework, which would refuse what it cannot parse, also where no body is wanted, and
 * without a way on. `readBody` still finds it.
 */
export function hideContentType({ headers }: IncomingMessage): void {
  if (headers['content-type'] !== undefined) headers['content-type'] = undefined;
}

/**
 * Reads a body up to the limit. Beyond it the rest is let run past unread: closing the connection at once would reset
 * it, and the sender would see that instead of the 413.
 */
export function readBody(request: IncomingMessage, done: (error: Error | null, body?: RawBody) => void): void {
  const contentType = request.headersDistinct['content-type']?.[0];
  const chunks: Buffer[] = [];
  let size = 0;
  const finish = (error: Error | null, body?: RawBody) => {
    request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
    done(error, body);
  };
  const onData = (chunk: Buffer) => {
    size += chunk.length;
    if (size <= maxBodyBytes) chunks.push(chunk);
    else {
      finish(null, { kind: 'too-large' });
      request.on('error', () => undefined).resume();
    }
  };
  const onEnd = () => {
    const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
    finish(null, { kind: 'bytes', bytes, contentType });
  };
  const onError = (error: Error) => finish(Object.assign(error, { statusCode: 400 }));
  const onClose = () => onError(new Error('The connection ended before the whole body had arrived'));
  request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
}

/**
 * The JSON value of a body. No Content-Type or an empty one, and the two that curl and shells send unasked, are taken as JSON.
 * @throws Fault `too-large`, `unsupported-media-type`, `malformed` or, for what would not survive storing, `invalid`.
 */
export function jsonOf(body: RawBody | undefined): unknown {
  if (body === undefined) throw emptyBody();
  if (body.kind === 'too-large')
    throw new Fault('too-large', `The body is larger than ${maxBodyBytes / 1024} KiB, which is the limit.`, {
      hint: 'Store large data elsewhere and send a reference to it in details.',
    });
  requireJson(body.contentType);
  if (!isUtf8(body.bytes))
    throw new Fault('malformed', 'The body is not valid UTF-8.', { hint: 'JSON is always sent as UTF-8.' });
  const text = body.bytes.toString('utf8').replace(/^\ufeff/, '');
  if (text.trim() === '') throw emptyBody();
  return parseJson(text);
}

function emptyBody(): Fault {
  return new Fault('malformed', 'The body is empty; a JSON object is needed.', {
    hint: `With curl: curl --json '{"…": "…"}' URL. See /docs for the fields.`,
  });
}

const takenAsJson = /^(application\/json|application\/[\w.-]+\+json|text\/plain|application\/x-www-form-urlencoded)$/;

function requireJson(contentType: string | undefined): void {
  if (contentType === undefined || contentType === 'application/json') return;
  const announced = contentType.trim();
  if (announced === '') return;
  const mediaType = (announced.split(';', 1)[0] as string).trim().toLowerCase();
  if (mediaType.startsWith('application/cloudevents'))
    throw new Fault('unsupported-media-type', 'CloudEvents are not understood yet.', {
      hint: 'Send the plain body (see /docs) as application/json.',
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
