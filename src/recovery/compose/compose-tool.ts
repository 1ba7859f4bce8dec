import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { runProgram } from '../source/run-program.ts';
import { askMs, worked } from './containers.ts';

/** With the file that compose would read beside it if none were named. */
export function filesOf(file: string): string[] {
  const [, stem] = /^((?:docker-)?compose)\.ya?ml$/.exec(basename(file)) ?? [];
  if (stem === undefined) return [file];
  const beside = ['yml', 'yaml']
    .map((end) => join(dirname(file), `${stem}.override.${end}`))
    .find((each) => existsSync(each));
  return beside === undefined ? [file] : [file, beside];
}

/** What compose is called here. @throws Fault `unreachable` */
export async function composeTool(): Promise<readonly string[]> {
  for (const tool of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...words] = tool;
    if (worked(await runProgram(program, [...words, 'version'], askMs))) return tool;
  }
  throw new Fault(
    'unreachable',
    'Neither docker compose nor docker-compose can be run here, and the target has services.',
    {
      hint: 'Install one: apt-get install docker-compose. Or take compose out of the configuration and stop the services yourself.',
    },
  );
}
