import { STATUS_CODES } from 'node:http';
import { Fault, type FaultCode } from '../base/fault.ts';

/** RFC 9457, as every error of the bus is answered. */
export type Problem = {
  status: number;
  /** Further response headers. */
  headers: Readonly<Record<string, string>>;
  body: Readonly<Record<string, unknown>>;
};

export const problemMediaType = 'application/problem+json';

/** The one place where a Fault becomes an HTTP status. */
const known: Readonly<Record<FaultCode, { status: number; title: string }>> = {
  malformed: { status: 400, title: 'The request cannot be read' },
  'asks-nothing': { status: 400, title: 'The event asks nothing' },
  unauthorized: { status: 401, title: 'A token is needed' },
  forbidden: { status: 403, title: 'Not allowed' },
  'not-found': { status: 404, title: 'Not found' },
  'already-resolved': { status: 409, title: 'The question is already resolved' },
  conflict: { status: 409, title: 'In conflict with what is stored' },
  'still-running': { status: 409, title: 'The same request is still being worked on' },
  'lease-lost': { status: 409, title: 'The lease is no longer yours' },
  'cursor-invalid': { status: 410, title: 'The bookmark is no longer valid' },
  'too-large': { status: 413, title: 'Too large' },
  'unsupported-media-type': { status: 415, title: 'Content type not understood' },
  invalid: { status: 422, title: 'The request makes no sense' },
  usage: { status: 422, title: 'The request makes no sense' },
  'queue-full': { status: 429, title: 'Too much at once' },
  'rate-limited': { status: 429, title: 'The token’s limit is reached' },
  internal: { status: 500, title: 'Internal Server Error' },
  unavailable: { status: 503, title: 'Not available now' },
  damaged: { status: 503, title: 'The database is damaged' },
  'newer-schema': { status: 503, title: 'The database is newer than the program' },
  locked: { status: 503, title: 'The database is in use' },
  'port-taken': { status: 503, title: 'The port is taken' },
  unreachable: { status: 503, title: 'Not reachable' },
  'storage-full': { status: 507, title: 'No room on the disk' },
};

const retryAfterSeconds: Partial<Record<FaultCode, number>> = {
  'still-running': 1,
  'queue-full': 1,
  unavailable: 2,
  'storage-full': 30,
};

/** The HTTP status with which this Fault is answered. */
export function statusOf(code: FaultCode): number {
  return known[code].status;
}

/** What this Fault looks like on the wire. */
export function problemOf(fault: Fault): Problem {
  const { status, title } = known[fault.code];
  const seconds = fault.extra.retry_after_seconds ?? retryAfterSeconds[fault.code];
  return {
    status,
    headers: {
      ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
      ...(fault.code === 'unauthorized' ? { 'www-authenticate': 'Bearer' } : {}),
    },
    body: {
      ...fault.extra,
      type: `urn:leveredge:problem:${fault.code}`,
      title,
      status,
      detail: fault.message,
      ...(fault.mistakes.length > 0 ? { errors: fault.mistakes } : {}),
      ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    },
  };
}

/** A problem that HTTP itself has a status for and the program no Fault, such as a method that a path does not know. */
export function plainProblem(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): Problem {
  const title = STATUS_CODES[status] ?? 'Error';
  const type = `urn:leveredge:problem:${title.toLowerCase().replaceAll(/[^a-z]+/g, '-')}`;
  return { status, headers, body: { type, title, status, detail } };
}

/**
 * Any thrown value as a problem. What the framework refuses (a body cut short, a broken Content-Length) keeps its own
 * 4xx; everything else that is no Fault is our mistake: undefined, to be logged and answered with a bare 500.
 */
export function problemOfThrown(thrown: unknown): Problem | undefined {
  if (thrown instanceof Fault) return problemOf(thrown);
  const { statusCode, message } = (thrown ?? {}) as { statusCode?: unknown; message?: unknown };
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined;
  const detail = `${String(message)}${String(message).endsWith('.') ? '' : '.'}`;
  if (statusCode === 413) return problemOf(new Fault('too-large', detail));
  if (statusCode === 415) return problemOf(new Fault('unsupported-media-type', detail));
  if (statusCode === 400) return problemOf(new Fault('malformed', detail));
  return plainProblem(statusCode, detail);
}
