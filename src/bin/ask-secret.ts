import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Fault } from '../base/fault.ts';

/**
 * Asks at the terminal for a secret, which is not shown while it is typed; undefined where standard input is no terminal.
 * @throws Fault `usage` when nothing is typed, or the signal's reason
 */
export async function askSecret(prompt: string, signal: AbortSignal): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  signal.throwIfAborted();
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: unseen, terminal: true, historySize: 0 });
  process.stderr.write(prompt);
  try {
    const typed = await new Promise<string | undefined>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(undefined));
      // In this mode the terminal makes no signal of Ctrl-C.
      lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    if (!typed) throw new Fault('usage', 'Nothing was typed.');
    return typed;
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
