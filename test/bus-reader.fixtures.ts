import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { type SseBlock, sseReader } from '../src/client/sse.ts';
import type { Wire } from './bus-caller.fixtures.ts';

/** One reader of a stream, over a connection of its own. */
export type Reader = {
  response: IncomingMessage;
  /** All that came, also what is no message. */
  blocks: SseBlock[];
  /** The text as it came. */
  text(): string;
  /** The messages without a name: what an EventSource hands to onmessage. */
  messages(): Wire[];
  /** Resolves when so many messages have come; rejects when the stream ends before or it takes too long. */
  has(count: number): Promise<Wire[]>;
  /** Resolves when this holds of the stream. */
  until(holds: () => boolean, what: string): Promise<void>;
  lastId(): string | undefined;
  ended: Promise<void>;
  leave(): void;
};

const patienceMs = 20_000;

/** Opens a stream of a bus; the reader takes all that comes. */
export async function openReader(url: string, headers: Record<string, string> = {}): Promise<Reader> {
  const blocks: SseBlock[] = [];
  const read = sseReader();
  let text = '';
  const waiting = new Set<() => void>();
  const look = () => {
    for (const check of waiting) check();
  };
  let request!: ClientRequest;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request = get(url, { headers, agent: false }, resolve).on('error', reject);
  });
  request.on('error', () => undefined);
  let hasEnded = false;
  const ended = new Promise<void>((resolve) =>
    response.once('close', () => {
      hasEnded = true;
      resolve();
      look();
    }),
  );
  response.on('error', () => undefined);
  response.on('data', (bytes: Buffer) => {
    text += bytes.toString('utf8');
    blocks.push(...read(bytes));
    look();
  });
  const messages = () => blocks.flatMap(({ data, event }) => (data === undefined || event ? [] : [JSON.parse(data)]));
  const until = (holds: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const conclude = (error?: Error) => {
        clearTimeout(late);
        waiting.delete(check);
        error ? reject(error) : resolve();
      };
      const late = setTimeout(() => conclude(new Error(`no ${what}; so far: ${text.slice(-2000)}`)), patienceMs);
      const check = () => {
        if (holds()) conclude();
        else if (hasEnded) conclude(new Error(`the stream ended without ${what}: ${text.slice(-2000)}`));
      };
      waiting.add(check);
      check();
    });
  return {
    response,
    blocks,
    text: () => text,
    messages,
    until,
    async has(count) {
      let seen = 0;
      let looked = 0;
      const enough = () => {
        for (; looked < blocks.length; looked++)
          if (blocks[looked]?.data !== undefined && blocks[looked]?.event === '') seen++;
        return seen >= count;
      };
      await until(enough, `${count} messages`);
      return messages();
    },
    lastId: () => blocks.findLast(({ id }) => id !== undefined)?.id,
    ended,
    leave: () => void response.destroy(),
  };
}
