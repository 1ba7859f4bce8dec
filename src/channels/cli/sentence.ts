import type { Command } from 'commander';
import { Fault } from '../../base/fault.ts';
import { calledAs, readSentence, type Said, sayable } from '../../capabilities/sentence/read-sentence.ts';
import type { Capability } from '../../events/capability.ts';
import { callCapability } from './call-capability.ts';
import type { Concluding } from './concluding.ts';

/** Lets a command take a plain sentence where none of its own commands is named: `atlas "check system health"`. */
export function takesSentences(command: Command, capabilities: readonly Capability[], concludes: Concluding): Command {
  const said = columnsOf(sayable(capabilities));
  return command
    .usage('[options] [command | "SENTENCE"]')
    .helpCommand(true)
    .argument('[sentence...]')
    .option('--no-wait', 'with a sentence: do not wait for the end of the call')
    .addHelpText('after', `\nSentences, also without the quotes:\n${said.map((line) => `  ${line}`).join('\n')}`)
    .action(
      concludes((door, words: string[], { wait }: { wait: boolean }) => {
        if (words.length === 0) command.help({ error: true });
        const reading = readSentence(words.join(' '), capabilities);
        if (reading.kind === 'none') {
          const { because, nearest } = reading;
          throw new Fault('usage', reading.says, { hint: hintOf(nearest), extra: { because, nearest } });
        }
        door.say(calledAs(reading.capability, reading.arguments));
        return callCapability(door, reading.capability, reading.arguments, { wait, showSecrets: false });
      }),
    );
}

function hintOf(nearest: readonly Said[]): string {
  const all = 'What there is: leveredge atlas --help';
  return nearest.length === 0 ? all : ['Near it:', ...columnsOf(nearest).map((line) => `  ${line}`), all].join('\n');
}

/** What is said, and what it calls. */
function columnsOf(said: readonly Said[]): string[] {
  const widest = Math.max(...said.map(({ phrase }) => phrase.length));
  return said.map(({ phrase, capability }) => `${phrase.padEnd(widest)}  ${capability}`);
}
