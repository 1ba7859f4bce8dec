import { type Ran, runProgram } from '../source/run-program.ts';
import { type ComposeTool, composeTool, filesOf } from './compose-tool.ts';
import type { Container } from './containers.ts';
import { engineEnv } from './engine.ts';

/** A compose file, and the containers that it has. */
export type ComposeProject = {
  /** The compose file. */
  file: string;
  containers: readonly Container[];
};

/** Compose, for projects of any engine. */
export type Compose = {
  /** The same for all containers that the same has made. @throws Fault `unreachable` */
  toolFor(project: ComposeProject): Promise<ComposeTool>;
  /** Runs it on a project under the name that its containers have. @throws Fault `unreachable` without a tool */
  run(project: ComposeProject, words: readonly string[], withinMs: number): Promise<Ran>;
};

/** @param like containers of what would make those that a project without any gets */
export function composeRunner(like: readonly Container[] = []): Compose {
  const tools = new Map<string, Promise<ComposeTool>>();
  const toolFor = ({ containers }: ComposeProject): Promise<ComposeTool> => {
    const [made = like[0]] = containers;
    const kind = made === undefined ? '' : `${made.engine} ${made.byPodmanCompose}`;
    const tool = tools.get(kind) ?? composeTool(made);
    tools.set(kind, tool);
    return tool;
  };
  return {
    toolFor,
    async run(project, words, withinMs) {
      const { file, containers } = project;
      const [program = '', ...first] = (await toolFor(project)).words;
      const name = containers[0]?.project;
      const named = name === undefined || name === '' ? [] : ['-p', name];
      const args = [...first, ...named, ...filesOf(file).flatMap((each) => ['-f', each]), ...words];
      return runProgram(program, args, withinMs, engineEnv());
    },
  };
}
