import type { Step } from './step.ts';

/** What became of a step. `left out`: what is above it is in the way. */
export type Outcome = {
  step: Step;
  state: 'done' | 'there' | 'would do' | 'not yet' | 'wrong' | 'failed' | 'left out';
  says?: string;
  todo?: string;
  /** Something else lies where its folder should be, so nothing can be made below it. */
  isInTheWay?: true;
};

const marks: Readonly<Record<Outcome['state'], string>> = {
  done: 'done    ',
  there: 'there   ',
  'would do': 'would do',
  'not yet': 'not yet ',
  wrong: 'WRONG   ',
  failed: 'FAILED  ',
  'left out': 'left out',
};

/** One line for the step, and one more where somebody must do something. */
export function outcomeLines({ step, state, says, todo }: Outcome): string[] {
  const line = `${marks[state]}  ${describeStep(step)}${says === undefined ? '' : `: ${says}`}`;
  return todo === undefined ? [line] : [line, ...todo.split('\n').map((each) => `${' '.repeat(10)}→ ${each}`)];
}

/** As a document: what a program can compare. */
export function outcomeDocument({ step, state, says, todo }: Outcome): Record<string, unknown> {
  const named = 'name' in step ? step.name : step.kind === 'service' ? step.unit : undefined;
  const subject = { ...(named === undefined ? {} : { name: named }), ...('path' in step ? { path: step.path } : {}) };
  return { kind: step.kind, ...subject, what: describeStep(step), state, says, todo };
}

/** What should be there, in a few words. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'user':
      return `user ${step.name} of the system`;
    case 'reach':
      return `way of ${step.user} to Node, the program and the home`;
    case 'folder':
      return `folder ${step.path} (${octal(step.mode)}${step.owner === undefined ? '' : `, ${step.owner}`})`;
    case 'file':
      return `file ${step.path}`;
    case 'link':
      return `link ${step.path} to ${step.to}`;
    case 'token':
      return `token of ${step.name} in ${step.path} (0600${step.owner === undefined ? '' : `, ${step.owner}`})`;
    case 'service':
      return describeService(step);
  }
}

function describeService({ unit, url, heard }: Extract<Step, { kind: 'service' }>): string {
  if (heard === 'health') return `service ${unit}, enabled and answering at ${url}`;
  if (heard === 'socket') return `socket ${unit}, enabled and listening`;
  if (heard === 'process') return `service ${unit}, enabled and running`;
  return `service ${unit}, enabled, and ${heard.agent} alive on the bus`;
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0');
