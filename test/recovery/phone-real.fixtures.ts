import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startFakeTelegram } from '../fake-telegram.fixtures.ts';
import { gaiaLauncher } from './gaia.fixtures.ts';
import { phoneStand } from './phone.fixtures.ts';

export const emergency = { bot: 'emergency' } as const;
/** The owner that the fake Telegram plays. */
export const owner = 5_550_001;
const limitMs = 60_000;

/** Bot and runner as processes, a strict Telegram, and a home. */
export async function whole(t: TestContext, prepare?: Parameters<typeof phoneStand>[1]) {
  const telegram = await startFakeTelegram(t, { limits: { chatBurst: 100 } });
  const stand = await phoneStand(t, prepare);
  writeFileSync(stand.emergency.usersFile, `${owner}\n`, { mode: 0o600 });
  writeFileSync(stand.emergency.tokenFile, `${telegram.tokenOf('emergency')}\n`, { mode: 0o600 });
  const printed: string[] = [];
  const start = (verb: 'bot' | 'runner', more: Record<string, string> = {}) => {
    const env = { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, TELEGRAM_API_ROOT: telegram.url, ...more };
    const child = spawn(process.execPath, [gaiaLauncher, verb, '--config', stand.config], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => void printed.push(String(data)));
    t.after(() => void child.kill('SIGKILL'));
    return child;
  };
  const runner = start('runner');
  await until('the spool', () => existsSync(join(stand.emergency.spool, 'replies')));
  const heard = (text: RegExp) =>
    telegram.eventually(() => telegram.said(emergency).find((message) => text.test(message.text)), `hears ${text}`);
  return { telegram, stand, start, runner, heard, printed };
}

/** Waits until something is so; fails after a minute. */
export async function until(what: string, is: () => boolean): Promise<void> {
  const began = performance.now();
  while (!is()) {
    assert.ok(performance.now() - began < limitMs, `not within ${limitMs} ms: ${what}`);
    await pause(30);
  }
}

/** Ends a process as a loss of power does. */
export async function kill(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.on('close', resolve));
  child.kill('SIGKILL');
  await closed;
}

export const notesOf = (root: string) => readFileSync(join(root, 'notes'), 'utf8');
