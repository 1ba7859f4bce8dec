/** A UUIDv7 up to its milliseconds. Shorter prefixes are rarely unique, because these ids begin with the time. */
const leastShown = 13;

/** How each id is shown in a table: the shortest beginning that no other of them has. */
export function shortIds(ids: readonly string[]): Map<string, string> {
  const sorted = [...new Set(ids)].sort();
  const shown = new Map<string, string>();
  sorted.forEach((id, i) => {
    const common = Math.max(commonLength(id, sorted[i - 1]), commonLength(id, sorted[i + 1]));
    shown.set(id, id.slice(0, Math.max(leastShown, common + 1)));
  });
  return shown;
}

function commonLength(id: string, other: string | undefined): number {
  let length = 0;
  while (other !== undefined && length < id.length && id[length] === other[length]) length++;
  return length;
}
