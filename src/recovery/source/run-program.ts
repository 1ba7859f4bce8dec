import { execFile } from 'node:child_process';
import { shellWord } from '../../base/shell-word.ts';
import { childEnv } from './child-env.ts';

/** How a program ended. `code` is null when it could not be started, or was ended. */
export type Ran = { code: number | null; stdout: string; stderr: string; ended: string; command: string };

const maxOutput = 8 * 1024 * 1024;

/** Runs a program to its end, or until it has taken too long. Never throws. */
export function runProgram(
  program: string,
  args: readonly string[],
  withinMs: number,
  env: Readonly<Record<string, string>> = childEnv,
): Promise<Ran> {
  const command = [program, ...args].map(shellWord).join(' ');
  return new Promise((resolve) => {
    const options = {
      env,
      timeout: withinMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: maxOutput,
    };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr, ended: 'it ended well', command });
      const { code, killed } = error as { code?: number | string; killed?: boolean };
      const ended = killed
        ? `it took more than ${Math.round(withinMs / 1000)} s`
        : typeof code === 'number'
          ? `it exited with ${code}`
          : `it cannot be run (${code ?? error.message})`;
      resolve({ code: typeof code === 'number' && !killed ? code : null, stdout, stderr, ended, command });
    });
  });
}
