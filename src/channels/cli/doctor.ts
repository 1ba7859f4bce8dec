import { Command } from 'commander';
import { wrap } from '../../base/display-width.ts';
import { Exit } from '../../base/exit.ts';
import type { Concluding } from './concluding.ts';
import type { Finding } from './examine/finding.ts';
import { examine } from './examine.ts';

/** leveredge doctor — looks whether all is well, and says what to do where it is not. Exit 0 all fine, 1 otherwise. */
export function doctor(concludes: Concluding): Command {
  return new Command('doctor')
    .description('Look whether all is well, and say what to do where it is not')
    .option('--port <n>', 'the port of the bus, when it was started with another one')
    .option('--host <address>', 'the address of the bus')
    .action(
      concludes(async (door, { port, host }: { port?: string; host?: string }) => {
        const findings = await examine(door, { home: door.home, port, host });
        const wrong = findings.filter(({ state }) => state === 'wrong').length;
        return {
          exit: wrong === 0 ? Exit.ok : Exit.failed,
          lines: findings.flatMap((finding) => describe(finding, door.terminal.is ? door.terminal.columns : widest)),
          json: { fine: wrong === 0, findings },
          notes: [wrong === 0 ? 'All is well.' : `${wrong} of ${findings.length} checks found something wrong.`],
        };
      }),
    );
}

const widest = 1000;
const marks = { fine: 'ok   ', note: 'note ', wrong: 'WRONG' } as const;

const indent = 17;

function describe({ check, state, says, todo }: Finding, width: number): string[] {
  const fit = (text: string) => {
    const lead = /^ */.exec(text)?.[0] ?? '';
    return wrap(text.slice(lead.length), width - indent - 2 - lead.length).map((line) => lead + line);
  };
  const [first, ...rest] = says.split('\n').flatMap(fit);
  return [
    `${marks[state]}  ${check.padEnd(9)} ${first}`,
    ...rest.map((line) => ' '.repeat(indent) + line),
    ...(todo?.split('\n') ?? []).flatMap((step) =>
      fit(step).map((line, i) => `${' '.repeat(indent)}${i === 0 ? '→ ' : '  '}${line}`),
    ),
  ];
}
