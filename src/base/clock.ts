/** Milliseconds since the Unix epoch. An argument wherever time matters, so that tests move it instead of sleeping. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;

/** RFC 3339 in UTC with milliseconds, the only way a time is written on the wire. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
