/**
 * Where a reader stands in the log: `epoch.seq`. Opaque on the wire. The epoch changes when the log is restored from a
 * backup, so that an old bookmark is refused instead of silently pointing at other events.
 */
export type Bookmark = `${string}.${number}`;

/** The bookmark of the event with this seq, in this epoch of the log. */
export function bookmarkOf(epoch: string, seq: number): Bookmark {
  return `${epoch}.${seq}`;
}

/** The parts of a bookmark, or undefined when it was never one. */
export function parseBookmark(value: string): { epoch: string; seq: number } | undefined {
  const match = /^([0-9a-f]{8})\.(\d{1,15})$/.exec(value);
  return match ? { epoch: match[1] as string, seq: Number(match[2]) } : undefined;
}
