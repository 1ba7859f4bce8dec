import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { runProgram } from '../source/run-program.ts';
import { type Container, worked } from './containers.ts';
import { askMs, engineEnv, enginesHere, podmanSocket } from './engine.ts';

export type ComposeTool = {
  /** The program and its first words. */
  words: readonly string[];
  /** It makes nothing anew that has changed, knows no order, and its exit code says nothing. */
  isPodmanCompose: boolean;
};

/** With the file that compose would read beside it if none were named. */
export function filesOf(file: string): string[] {
  const [, stem] = /^((?:docker-)?compose)\.ya?ml$/.exec(basename(file)) ?? [];
  if (stem === undefined) return [file];
  const beside = ['yml', 'yaml']
    .map((end) => join(dirname(file), `${stem}.override.${end}`))
    .find((each) => existsSync(each));
  return beside === undefined ? [file] : [file, beside];
}

/**
 * What compose is called here: what has made a container, or would make one.
 * @throws Fault `unreachable`
 */
export async function composeTool(made?: Container): Promise<ComposeTool> {
  const engine = made === undefined ? (await enginesHere())[0] : (made.engine ?? 'docker');
  const socket = podmanSocket();
  const docker = [['docker', 'compose'], ['docker-compose']];
  const over = socket === undefined ? [] : docker.map((words) => ['env', `DOCKER_HOST=unix://${socket}`, ...words]);
  const own = [['podman-compose']];
  const tools =
    engine === 'docker' ? docker : made === undefined ? [...own, ...over] : made.byPodmanCompose ? own : over;
  for (const words of tools) if (await isThere(words)) return { words, isPodmanCompose: words[0] === 'podman-compose' };
  if (engine === 'podman')
    throw new Fault(
      'unreachable',
      made === undefined || made.byPodmanCompose
        ? 'podman-compose cannot be run here, and the target has services of Podman.'
        : "The target's containers were made by Docker's compose over the socket of Podman, and one of them is not there.",
      {
        hint:
          made === undefined || made.byPodmanCompose
            ? 'Install it: apt-get install podman-compose.'
            : 'Let Podman listen (systemctl enable --now podman.socket) and install docker-compose.',
      },
    );
  throw new Fault(
    'unreachable',
    'Neither docker compose nor docker-compose can be run here, and the target has services.',
    {
      hint: 'Install one: apt-get install docker-compose. Or take compose out of the configuration and stop the services yourself.',
    },
  );
}

/**
 * What prints a compose file with everything resolved: Debian's podman-compose cannot, and Docker's needs no engine for it.
 * @throws Fault `unreachable`
 */
export async function configTool(): Promise<readonly string[]> {
  for (const words of [['docker', 'compose'], ['docker-compose']]) if (await isThere(words)) return words;
  throw new Fault('unreachable', 'The compose file cannot be read without docker compose or docker-compose.', {
    hint: 'Install one, which works without Docker itself: apt-get install docker-compose',
  });
}

async function isThere([program = '', ...words]: readonly string[]): Promise<boolean> {
  return worked(await runProgram(program, [...words, 'version'], askMs, engineEnv()));
}
