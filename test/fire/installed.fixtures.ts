import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../recovery/gaia.fixtures.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { type Machine, machineName, startMachine } from './machine.fixtures.ts';

/** An empty Debian with systemd and Node, on which the program was unpacked and nothing else done. */
export type Installed = {
  machine: Machine;
  /** `leveredge` as root by its path, as long as there is no link. */
  leveredge(words: string, as?: string): ReturnType<Machine['sh']>;
  /** `leveredge init --json`, and its steps; fails when it ends with another code. */
  init(exit: number, words: string, as?: string): Promise<InitStep[]>;
  /** Waits until this command of the shell ends well, and fails with the last lines of all units when it does not. */
  until(command: string): Promise<void>;
  end(): Promise<void>;
};

export type InitStep = { kind: string; what: string; path?: string; name?: string; state: string; says?: string };

export const installedHome = '/opt/leveredge';
const program = '/usr/local/lib/leveredge';
const checkout = join(import.meta.dirname, '../..');
const patienceMs = 40_000;

export async function installProgram(): Promise<Installed> {
  const folder = mkdtempSync(join(tmpdir(), 'fire-init-'));
  const installed = join(folder, 'program');
  mkdirSync(installed);
  for (const name of ['bin', 'package.json']) cpSync(join(checkout, name), join(installed, name), { recursive: true });
  const built = await run(process.execPath, [join(checkout, 'tools/build.ts'), join(installed, 'dist')]);
  if (built.exit !== 0) throw new Error(built.stderr);
  const engine: Engine = await startEngine();
  const volumes = [`${process.execPath}:/usr/local/bin/node:ro`, `${installed}:${program}:ro`];
  const machine = await startMachine('', { bare: true, volumes });
  const leveredge = (words: string, as = '') => machine.sh(`${as} node ${program}/bin/leveredge.mjs ${words}`);
  return {
    machine,
    leveredge,
    async init(exit, words, as) {
      const ended = await leveredge(`init --json ${words}`, as);
      if (ended.exit !== exit) throw new Error(`exit ${ended.exit}\n${ended.stdout}${ended.stderr}`);
      return JSON.parse(ended.stdout).steps;
    },
    async until(command) {
      for (const end = performance.now() + patienceMs; ; await pause(200)) {
        const { exit, stdout, stderr } = await machine.sh(command);
        if (exit === 0) return;
        if (performance.now() < end) continue;
        const log = await machine.sh('journalctl -n 60 --no-pager');
        throw new Error(`${command}: exit ${exit}\n${stdout}${stderr}\n${log.stdout}`);
      }
    },
    async end() {
      await run('docker', ['rm', '-f', machineName]);
      await engine.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
