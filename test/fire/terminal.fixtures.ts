import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';

/** What stood on a terminal, line by line, each with the moment in which it was whole. */
export type Terminal = { exit: number | null; text: string; lines: readonly { text: string; atMs: number }[] };

/** What is typed, or how it follows from what stands there. */
type Answer = string | ((text: string) => string);

const limitMs = 600_000;

/**
 * Runs a command in a container as somebody who sits before it: on a terminal, in a folder, with an answer typed to each
 * question as it comes.
 */
export function onTerminal(
  container: string,
  command: string,
  {
    folder = '/',
    answers = [],
  }: { folder?: string; answers?: readonly (readonly [question: string, answer: Answer])[] } = {},
): Promise<Terminal> {
  // A shell as a login gives it; `script` makes the terminal.
  const words = ['exec', '-i', '-w', folder, container, 'script', '-qec', command, '/dev/null'];
  return new Promise((resolve, reject) => {
    const child = spawn('docker', words, { stdio: 'pipe', timeout: limitMs });
    const lines: { text: string; atMs: number }[] = [];
    const open = [...answers];
    let text = '';
    let answered = 0;
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += stripVTControlCharacters(more).replaceAll('\r', '');
      const whole = (rest + more).split('\n');
      rest = whole.pop() ?? '';
      const atMs = performance.now();
      // What was written over on the way is not what the line says in the end.
      for (const line of whole)
        lines.push({ text: stripVTControlCharacters(line).replace(/\r+$/, '').replace(/^.*\r/, ''), atMs });
      const [question, answer = ''] = open[0] ?? [];
      if (question === undefined || !text.includes(question, answered)) return;
      answered = text.length;
      open.shift();
      child.stdin.write(`${typeof answer === 'string' ? answer : answer(text)}\n`);
    });
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    child.stdin.on('error', () => undefined /* It has ended, and its exit code says how. */);
    child.on('error', reject);
    child.on('close', (exit) => resolve({ exit, text, lines }));
  });
}
