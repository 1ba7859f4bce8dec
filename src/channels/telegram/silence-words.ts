/** What somebody wants who writes /silence. `about`: a target; undefined is everything. */
export type SilenceWanted =
  | { kind: 'show' }
  | { kind: 'off'; about: string | undefined }
  | { kind: 'for'; about: string | undefined; forMs: number };

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const units: Readonly<Record<string, keyof typeof unitMs>> = {
  ...{ m: 'm', min: 'm', mins: 'm', minute: 'm', minutes: 'm' },
  ...{ h: 'h', hour: 'h', hours: 'h', d: 'd', day: 'd', days: 'd' },
};
const mostMs = 7 * unitMs.d;
const usage = 'Say it like this: /silence 2h, /silence dev 30m, /silence off.';

/** Reads what stands after /silence: a time, a target and a time, `off`, or nothing. */
export function readSilence(text: string): SilenceWanted | { kind: 'wrong'; says: string } {
  const words = text.trim().split(/\s+/).filter(Boolean);
  // `2 hours` is a time too.
  if (/^\d+$/.test(words.at(-2) ?? '') && units[(words.at(-1) ?? '').toLowerCase()] !== undefined)
    words.splice(-2, 2, words.slice(-2).join(''));
  const [first, second, ...more] = words;
  if (first === undefined) return { kind: 'show' };
  if (more.length > 0) return { kind: 'wrong', says: `That is more than a target and a time. ${usage}` };
  const [about, span] = second === undefined ? [undefined, first] : [first, second];
  if (span.toLowerCase() === 'off') return { kind: 'off', about };
  const forMs = spanOf(span);
  if (forMs === undefined && second === undefined && /^[a-z]/i.test(span))
    return { kind: 'wrong', says: `For how long about ${span}? /silence ${span} 30m` };
  if (forMs === undefined) return { kind: 'wrong', says: `“${span}” is no time that I understand. ${usage}` };
  if (forMs < unitMs.m) return { kind: 'wrong', says: 'A minute is the least. To end a silence: /silence off' };
  if (forMs > mostMs) return { kind: 'wrong', says: 'Seven days is the most: /silence 7d' };
  return { kind: 'for', about, forMs };
}

/** `30m`, `1h30m`, `2days`; undefined for what is no time. */
function spanOf(text: string): number | undefined {
  if (!/^(\d{1,6}[a-z]+)+$/i.test(text)) return undefined;
  let sum = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d+)([a-z]+)/gi)) {
    const known = units[unit.toLowerCase()];
    if (known === undefined) return undefined;
    sum += Number(count) * unitMs[known];
  }
  return sum;
}
