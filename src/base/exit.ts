import type { FaultCode } from './fault.ts';

/** The exit codes of every program of LeverEdge. A script may rely on them; see docs/decisions. */
export const Exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  forbidden: 3,
  unreachable: 4,
  notFound: 5,
  conflict: 6,
  damaged: 7,
  waiting: 8,
  partial: 9,
  rolledBack: 10,
  interrupted: 130,
} as const;

export type ExitCode = (typeof Exit)[keyof typeof Exit];

const byFault: Record<FaultCode, ExitCode> = {
  usage: Exit.usage,
  malformed: Exit.usage,
  invalid: Exit.usage,
  'asks-nothing': Exit.usage,
  'unsupported-media-type': Exit.usage,
  'too-large': Exit.usage,
  unauthorized: Exit.forbidden,
  forbidden: Exit.forbidden,
  'not-found': Exit.notFound,
  'already-resolved': Exit.conflict,
  conflict: Exit.conflict,
  'still-running': Exit.conflict,
  'lease-lost': Exit.conflict,
  'cursor-invalid': Exit.conflict,
  'queue-full': Exit.failed,
  'rate-limited': Exit.failed,
  'storage-full': Exit.failed,
  unavailable: Exit.unreachable,
  internal: Exit.failed,
  damaged: Exit.damaged,
  'newer-schema': Exit.conflict,
  locked: Exit.conflict,
  'port-taken': Exit.conflict,
  unreachable: Exit.unreachable,
};

/** The one place where a Fault becomes an exit code. */
export function exitCodeOf(code: FaultCode): ExitCode {
  return byFault[code];
}

/** Whether this is the code of a Fault: what another program says may be any text. */
export function isFaultCode(code: string): code is FaultCode {
  return Object.hasOwn(byFault, code);
}
