import { Fault, type FaultCode, type Mistake } from '../base/fault.ts';

/** The codes a bus can answer with, and the HTTP status that stands for each when the body does not say. */
const codeOfStatus: Readonly<Record<number, FaultCode>> = {
  400: 'malformed',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  410: 'cursor-invalid',
  413: 'too-large',
  415: 'unsupported-media-type',
  422: 'invalid',
  429: 'queue-full',
  500: 'internal',
  503: 'unavailable',
  507: 'storage-full',
};
const codes: readonly string[] = [
  ...Object.values(codeOfStatus),
  'asks-nothing',
  'usage',
  'already-resolved',
  'still-running',
  'lease-lost',
  'rate-limited',
  'damaged',
  'newer-schema',
  // Of what an agent does for a caller.
  'locked',
  'unreachable',
] satisfies FaultCode[];

const typePrefix = 'urn:leveredge:problem:';
const ownMembers = ['type', 'title', 'status', 'detail', 'hint', 'errors'];

/**
 * Turns an error answer (RFC 9457) into a Fault: the code from `type`, the sentence from `detail`, the mistakes from
 * `errors`, every further member (such as `resolution`, the winner of a race) in `extra`. `extra.retry_after_seconds`
 * is set when the answer has a Retry-After in seconds.
 */
export function faultOf(status: number, body: unknown, retryAfter: string | null): Fault {
  const problem = isRecord(body) ? body : {};
  const type = typeof problem.type === 'string' ? problem.type : '';
  const named = type.startsWith(typePrefix) ? type.slice(typePrefix.length) : '';
  const code = codes.includes(named)
    ? (named as FaultCode)
    : (codeOfStatus[status] ?? (status < 500 ? 'invalid' : 'unavailable'));
  const sentence = typeof problem.detail === 'string' ? problem.detail : `The bus answered with HTTP ${status}.`;
  const extra = Object.fromEntries(Object.entries(problem).filter(([key]) => !ownMembers.includes(key)));
  const seconds = Number(retryAfter ?? Number.NaN);
  if (retryAfter && Number.isFinite(seconds) && seconds >= 0) extra.retry_after_seconds = seconds;
  return new Fault(code, sentence, {
    hint: typeof problem.hint === 'string' ? problem.hint : undefined,
    mistakes: mistakesOf(problem.errors),
    extra,
  });
}

function mistakesOf(errors: unknown): Mistake[] {
  if (!Array.isArray(errors)) return [];
  return errors
    .filter(isRecord)
    .map(({ pointer, detail }) => ({ pointer: String(pointer ?? ''), detail: String(detail ?? '') }));
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
