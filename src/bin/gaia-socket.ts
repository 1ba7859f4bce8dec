import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { GaiaEnd } from '../agents/gaia-end.ts';
import { exitCodeOf } from '../base/exit.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import { requireAsked } from '../gaia/asked-by-agents.ts';

/** A request is one line; a longer one is something else. */
const maxRequest = 64 * 1024;
/** Whoever connects and says nothing is let go. */
const requestTimeoutMs = 10_000;
/** Twice what is kept of GAIA's output, as JSON at its worst. */
const maxAnswer = 16 * 1024 * 1024;
const endWord = 'end';

type Run = (words: readonly string[], signal: AbortSignal) => Promise<GaiaEnd>;

/**
 * Has GAIA run by the unit behind this socket, as another user, and waits for her end. On the signal she is asked to end; when
 * this process is killed she goes on.
 * @throws the signal's reason once she has ended for it
 */
export function askGaia(socket: string, words: readonly string[], signal: AbortSignal): Promise<GaiaEnd> {
  signal.throwIfAborted();
  return new Promise<GaiaEnd>((resolve, reject) => {
    const line = connect(socket);
    let text = '';
    let failure: unknown;
    const stop = () => line.write(`${endWord}\n`);
    signal.addEventListener('abort', stop, { once: true });
    line.setEncoding('utf8');
    line.on('connect', () => line.write(`${JSON.stringify({ words })}\n`));
    line.on('data', (more: string) => {
      text += more;
      if (text.length > maxAnswer) line.destroy(new Error('the answer is too long'));
    });
    line.on('error', (error) => {
      failure = error;
    });
    line.on('close', () => {
      signal.removeEventListener('abort', stop);
      const end = endIn(text) ?? noAnswer(socket, failure);
      // Ended by the signal, or through just before it: then what it made counts.
      if (signal.aborted && (end.exit === null || end.exit === 130)) reject(signal.reason);
      else resolve(end);
    });
  });
}

function endIn(text: string): GaiaEnd | undefined {
  try {
    const { exit, stdout, stderr } = JSON.parse(text) as Record<string, unknown>;
    if (typeof stdout !== 'string' || typeof stderr !== 'string') return undefined;
    return { exit: typeof exit === 'number' ? exit : null, stdout, stderr };
  } catch {
    return undefined; // The other side was killed before it had answered.
  }
}

/** As if GAIA had said it, so that it is told and tried again as what she says. */
function noAnswer(socket: string, failure: unknown): GaiaEnd {
  if (failure === undefined) return unsaid;
  return saying(
    new Fault('unavailable', `GAIA cannot be asked at ${socket}: ${reasonOf(failure)}.`, {
      hint: 'Look at what should listen there: systemctl status leveredge-gaia.socket',
    }),
  );
}

const unsaid: GaiaEnd = { exit: null, stdout: '', stderr: '' };

function wordsIn(request: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(request);
  } catch (error) {
    throw new Fault('malformed', 'That is no request.', { cause: error });
  }
  return requireAsked((value as { words?: unknown } | null)?.words);
}

function saying({ code, message, hint }: Fault): GaiaEnd {
  return { exit: exitCodeOf(code), stdout: '', stderr: `${JSON.stringify({ error: { code, message, hint } })}\n` };
}

/**
 * The other side: reads one request of an agent, has it done where the list allows it, and answers with its end. It is not
 * ended by the agent's death, only by its word. Never throws.
 */
export async function answerOne(input: Readable, output: Writable, run: Run): Promise<void> {
  const stop = new AbortController();
  const request = Promise.withResolvers<string>();
  const timer = setTimeout(() => request.reject(new Fault('usage', 'Nothing was asked for.')), requestTimeoutMs);
  let text = '';
  let isAsked = false;
  input.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    if (text.length > maxRequest) {
      request.reject(new Fault('too-large', 'The request is too long.'));
      // Whoever goes on does not fill the memory of root.
      input.pause();
    }
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
      const line = text.slice(0, at);
      text = text.slice(at + 1);
      if (!isAsked) request.resolve(line);
      else if (line === endWord) stop.abort(new Fault('unavailable', 'The agent has called it off.'));
      isAsked = true;
    }
  });
  input.on('error', (error) => request.reject(error));
  input.on('end', () => request.reject(new Fault('usage', 'The request was cut off.')));
  const end = await request.promise
    .finally(() => clearTimeout(timer))
    .then(wordsIn)
    .then((words) => run(words, stop.signal))
    // What is no Fault is the reason of a signal, by which she was ended.
    .catch((error: unknown) => (error instanceof Fault && !stop.signal.aborted ? saying(error) : unsaid));
  await new Promise<void>((resolve) => output.end(`${JSON.stringify(end)}\n`, () => resolve()));
}
