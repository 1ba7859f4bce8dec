import type { Event } from '../../events/event.ts';

/**
 * The text of a stream as the WHATWG's HTML standard, section "Server-sent events", has it. JSON holds no raw line break,
 * so every message is one `data` line.
 */

/** How long a reader should wait before it connects again. */
const retryMs = 2_000;

/** What every stream begins with: where it stands, so that a reader cut off before its first event misses nothing. */
export function greeting(bookmark?: string): string {
  return `retry: ${retryMs}\n${bookmark === undefined ? '' : `id: ${bookmark}\n`}\n`;
}

/** An event. Without a name, because a stock EventSource hands only such messages to `onmessage`. */
export function eventFrame(event: Event): string {
  return `id: ${event.bookmark}\ndata: ${JSON.stringify(event)}\n\n`;
}

/**
 * A sign of life. With a bookmark it also moves the reader there: a block without data changes the last event id and
 * dispatches nothing.
 */
export function heartbeat(bookmark?: string): string {
  return bookmark === undefined ? ': heartbeat\n\n' : `: heartbeat\nid: ${bookmark}\n\n`;
}

/** The last word: why the stream ends here. The reader should connect again with its bookmark. */
export function goaway(because: string): string {
  return `event: goaway\nretry: ${retryMs}\ndata: ${JSON.stringify({ because })}\n\n`;
}

/** A remark for whoever looks at the stream; readers skip it. */
export function comment(value: object): string {
  return `: ${JSON.stringify(value)}\n`;
}

/** A message that is not of the log, so it moves no bookmark. */
export function dataFrame(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
