import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Fault, reasonOf } from '../base/fault.ts';
import type { Codes, Judged, Ready } from '../channels/telegram/codes.ts';
import type { Env } from './bus-settings.ts';

/** A code of paper takes GAIA a tenth of a second, and her start a bit more. */
const withinMs = 15_000;
const maxAnswer = 64 * 1024;

/**
 * Has GAIA judge codes: at the socket of her unit, where the bot runs as a user of its own, else as a process of this user. What is
 * asked goes in as a line, and never as an argument, which everybody on the machine could read.
 */
export function codesHere({ home, env, signal }: { home: string; env: Env; signal: AbortSignal }): Codes {
  const { GAIA_CODES_SOCKET: socket } = env;
  const asks = async (asked: object) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
    try {
      const text = await (socket ? atSocket(socket, asked, within) : asProcess(home, env, asked, within));
      return JSON.parse(text) as Ready | Judged;
    } catch (error) {
      // Also where the bot is stopped meanwhile: whoever sent the code is told so at its next start.
      throw new Fault('unavailable', `GAIA cannot be asked about codes: ${reasonOf(error)}.`, {
        hint: socket
          ? 'On the server: systemctl status leveredge-codes.socket'
          : 'On the server: gaia doctor says what is missing.',
        cause: error,
      });
    }
  };
  return {
    ready: async () => (await asks({ asks: 'ready' })) as Ready,
    judge: async (sent) => (await asks({ asks: 'judge', ...sent })) as Judged,
  };
}

async function atSocket(socket: string, asked: object, within: AbortSignal): Promise<string> {
  const line: Duplex = connect(socket);
  within.addEventListener('abort', () => line.destroy(within.reason as Error), { once: true });
  return said(line, line, asked);
}

async function asProcess(home: string, env: Env, asked: object, within: AbortSignal): Promise<string> {
  const file = import.meta.url.endsWith('.ts') ? './gaia.ts' : './gaia.mjs';
  const program = fileURLToPath(new URL(file, import.meta.url));
  const kept = Object.fromEntries(['PATH', 'LANG', 'GAIA_CONFIG'].map((name) => [name, env[name]]));
  const child = spawn(process.execPath, [program, '__code'], {
    // The tokens of the bot are none of hers.
    env: { ...kept, LEVEREDGE_HOME: home },
    stdio: ['pipe', 'pipe', 'inherit'],
    signal: within,
    killSignal: 'SIGKILL',
  });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  return Promise.race([said(child.stdin, child.stdout, asked), failed]);
}

async function said(input: Writable, output: Readable, asked: object): Promise<string> {
  // Where the other side has gone, that is seen at the answer.
  input.on('error', () => undefined);
  input.write(`${JSON.stringify(asked)}\n`);
  let text = '';
  for await (const more of output.setEncoding('utf8')) {
    text += more;
    if (text.length > maxAnswer) throw new Error('the answer is too long');
  }
  if (text === '') throw new Error('there was no answer');
  return text;
}
