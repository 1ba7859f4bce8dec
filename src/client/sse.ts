/**
 * Reads server-sent events (WHATWG HTML, "Interpreting an event stream") from bytes that may be cut anywhere. By hand,
 * because fetch knows none and an EventSource hides why it was refused.
 */

/** One block. Without `data` it is no message and only moves the bookmark or the pause. */
export type SseBlock = {
  /** The message's name; empty for most. */
  event: string;
  data: string | undefined;
  id: string | undefined;
  retryMs: number | undefined;
};

/** Characters of one block. An event of the bus is far below; what has no end is no stream of a bus. */
export const maxBlockLength = 4 * 1024 * 1024;

/** Thrown when a block is longer than any of the bus. */
export class EndlessBlock extends Error {}

/** Takes bytes as they come, and returns the blocks that are complete. One that is not when the stream ends is void. */
export function sseReader(): (bytes: Uint8Array) => SseBlock[] {
  const decoder = new TextDecoder();
  let line = '';
  let length = 0;
  let endedWithReturn = false;
  let block = emptyBlock();

  return (bytes) => {
    const text = decoder.decode(bytes, { stream: true });
    const blocks: SseBlock[] = [];
    let from = endedWithReturn && text.startsWith('\n') ? 1 : 0;
    if (text !== '') endedWithReturn = text.endsWith('\r');
    for (let end = nextBreak(text, from); end !== -1; end = nextBreak(text, from)) {
      line += text.slice(from, end);
      from = text[end] === '\r' && text[end + 1] === '\n' ? end + 2 : end + 1;
      if (line !== '') takeLine(block, line);
      else {
        if (saysSomething(block)) blocks.push(block);
        block = emptyBlock();
        length = 0;
      }
      length += line.length;
      line = '';
    }
    line += text.slice(from);
    if (length + line.length > maxBlockLength) throw new EndlessBlock();
    return blocks;
  };
}

function emptyBlock(): SseBlock {
  return { event: '', data: undefined, id: undefined, retryMs: undefined };
}

function saysSomething({ data, id, retryMs }: SseBlock): boolean {
  return data !== undefined || id !== undefined || retryMs !== undefined;
}

const lineBreak = /[\r\n]/g;

function nextBreak(text: string, from: number): number {
  lineBreak.lastIndex = from;
  return lineBreak.exec(text)?.index ?? -1;
}

function takeLine(block: SseBlock, line: string): void {
  const colon = line.indexOf(':');
  if (colon === 0) return; // A comment.
  const field = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
  if (field === 'data') block.data = block.data === undefined ? value : `${block.data}\n${value}`;
  else if (field === 'event') block.event = value;
  else if (field === 'id' && !value.includes('\0')) block.id = value;
  else if (field === 'retry' && /^\d{1,9}$/.test(value)) block.retryMs = Number(value);
}
