/** Milliseconds since the Unix epoch. An argument wherever time matters, so that tests move it instead of sleeping. */
export type Clock = () => number;

export const systemClock: Clock = Date.now;

const dayMs = 86_400_000;
/** The last time that a Date can hold. */
const farthestMs = 8.64e15;
const two = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));
const three = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'));
let lastDay = Number.NaN;
let lastDate = '';

/**
 * RFC 3339 in UTC with milliseconds, the only way a time is written on the wire. The same text as `Date`'s own, in a
 * tenth of the time, because a page of events writes hundreds.
 * @throws RangeError for what is no time
 */
export function rfc3339(ms: number): string {
  if (!Number.isInteger(ms) || Math.abs(ms) >= farthestMs) return new Date(ms).toISOString();
  const day = Math.floor(ms / dayMs);
  if (day !== lastDay) {
    const text = new Date(ms).toISOString();
    lastDate = text.slice(0, text.indexOf('T') + 1);
    lastDay = day;
  }
  const inDay = ms - day * dayMs;
  const seconds = Math.floor(inDay / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${lastDate}${two[hours]}:${two[minutes - hours * 60]}:${two[seconds - minutes * 60]}.${three[inDay - seconds * 1000]}Z`;
}
