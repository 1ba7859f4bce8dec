import { accessSync, constants, existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { childEnv } from '../source/child-env.ts';
import { type Ran, runProgram } from '../source/run-program.ts';

/** What runs containers on this machine. Both take the same words for all that is asked of them here. */
export type ContainerEngine = 'docker' | 'podman';

/** How long an engine may take to answer a question, in milliseconds. */
export const askMs = 60_000;

/**
 * Where an engine finds its settings and sockets when it is not root's: contexts of Docker in the home, Podman's own socket in
 * the folder that a login makes.
 */
export function engineEnv(): Readonly<Record<string, string>> {
  const { uid, homedir } = userInfo();
  const runtime = `/run/user/${uid}`;
  return { ...childEnv, HOME: homedir, ...(existsSync(runtime) ? { XDG_RUNTIME_DIR: runtime } : {}) };
}

/** Runs docker or podman to its end. Never throws. */
export function runEngine(engine: ContainerEngine, args: readonly string[], withinMs = askMs): Promise<Ran> {
  return runProgram(engine, args, withinMs, engineEnv());
}

/**
 * The engines of this machine, the usual one first. Whether they answer is not asked. Debian's podman-docker has a `docker`
 * that is Podman itself, and a client of Docker may be here for Podman's socket: neither is an engine of its own.
 */
export async function enginesHere(): Promise<readonly ContainerEngine[]> {
  if (!isInstalled('podman')) return ['docker'];
  const sockets = ['/run/docker.sock', `/run/user/${userInfo().uid}/docker.sock`];
  const isDockerHere = ['dockerd', 'rootlesskit'].some(isInstalled) || sockets.some((each) => existsSync(each));
  if (!isInstalled('docker') || !isDockerHere) return ['podman'];
  const { stdout } = await runEngine('docker', ['--version']);
  return /podman/i.test(stdout) ? ['podman'] : ['docker', 'podman'];
}

/** Where Podman answers as Docker does, for tools that speak to Docker only; undefined where nothing listens. */
export function podmanSocket(): string | undefined {
  const { uid } = userInfo();
  const socket = uid === 0 ? '/run/podman/podman.sock' : `/run/user/${uid}/podman/podman.sock`;
  return existsSync(socket) ? socket : undefined;
}

function isInstalled(program: string): boolean {
  return childEnv.PATH.split(':').some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
