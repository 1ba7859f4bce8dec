/** From and to, both included. */
export type SeqRange = readonly [from: number, to: number];

/** Numbers in ascending order as ranges: neighbours share one. */
export function rangesOf(seqs: readonly number[]): SeqRange[] {
  const ranges: [number, number][] = [];
  for (const seq of seqs) {
    const last = ranges.at(-1);
    if (last && seq === last[1] + 1) last[1] = seq;
    else ranges.push([seq, seq]);
  }
  return ranges;
}

/** `1-10,12,14-20` */
export function writeRanges(ranges: readonly SeqRange[]): string {
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}

/** The ranges in such a text; what is no range is left out. */
export function parseRanges(text: string): SeqRange[] {
  return text.split(',').flatMap((part): SeqRange[] => {
    const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(part);
    if (!match) return [];
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    return from <= to ? [[from, to]] : [];
  });
}

/** Ranges in any order, overlapping or not, as few in ascending order. */
export function unionOf(ranges: readonly SeqRange[]): SeqRange[] {
  const union: [number, number][] = [];
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = union.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else union.push([from, to]);
  }
  return union;
}

/** The first part of a range that a union of ranges does not hold, or undefined when it holds all of it. */
export function firstOutside(union: readonly SeqRange[], [from, to]: SeqRange): SeqRange | undefined {
  let low = 0;
  for (let high = union.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((union[middle] as SeqRange)[1] < from) low = middle + 1;
    else high = middle;
  }
  const at = union[low];
  if (!at || at[0] > to) return [from, to];
  if (at[0] > from) return [from, at[0] - 1];
  // Those of a union do not touch, so what follows this one is outside.
  return at[1] >= to ? undefined : [at[1] + 1, Math.min(to, (union[low + 1]?.[0] ?? to + 1) - 1)];
}
