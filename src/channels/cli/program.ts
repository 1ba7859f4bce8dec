import { Command, CommanderError } from 'commander';
import { Exit, type ExitCode } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import type { Capability } from '../../events/capability.ts';
import { ack } from './ack.ts';
import { agent } from './agent.ts';
import { agents } from './agents.ts';
import { answer } from './answer.ts';
import { hintAsTyped } from './as-typed.ts';
import { ask } from './ask.ts';
import { audit } from './audit.ts';
import { backup } from './backup.ts';
import { bus, up } from './bus.ts';
import { cancel } from './cancel.ts';
import { agentCommands } from './capability.ts';
import { claim } from './claim.ts';
import { addCompletions, completion, isAboutCompletion } from './completion.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { deadLetters } from './dead-letters.ts';
import { doctor } from './doctor.ts';
import { type Door, openDoor, type SharedOptions, type Surroundings } from './door.ts';
import { events } from './events.ts';
import { explain } from './explain.ts';
import { fakeTelegram } from './fake-telegram.ts';
import { usualUrl } from './find-bus.ts';
import { inOwnWords } from './in-own-words.ts';
import { inbox } from './inbox.ts';
import { init } from './init.ts';
import { nack } from './nack.ts';
import { pending } from './pending.ts';
import { publish } from './publish.ts';
import { type Look, type Rendered, render, renderFault } from './render.ts';
import { retention } from './retention.ts';
import { subscriptions } from './subscriptions.ts';
import { tail } from './tail.ts';
import { telegram } from './telegram.ts';
import { token } from './token.ts';

const commands = [
  up,
  bus,
  agent,
  agents,
  publish,
  events,
  tail,
  ask,
  pending,
  answer,
  cancel,
  inbox,
  ack,
  claim,
  nack,
  deadLetters,
  subscriptions,
  explain,
];
/** After those of the agents. */
const lastCommands = [token, backup, audit, retention, init, doctor, telegram, fakeTelegram];

/** What is answered from disk when no bus answers. The others write, or read only in order to write. */
const onlyRead = ['events', 'pending', 'inbox', 'dead-letters list', 'subscriptions list', 'explain'];

const widestHelp = 80;
/** Descriptions are wrapped when they have this much room beside the commands; commander's own limit is 40. */
const narrowestHelp = 20;

/**
 * Runs one command line (without the program's own name) to its end and says what to print and how to exit. Throws
 * nothing but mistakes of ours.
 */
export async function run(argv: readonly string[], around: Surroundings, color: boolean): Promise<Rendered> {
  let door: Door | undefined;
  let conclusion: Conclusion | undefined;
  const said: Said = { stdout: '', stderr: '', see: `See: ${typedOf(around)} --help` };
  const concludes: Concluding =
    (act) =>
    async (...args) => {
      conclusion = await act(door as Door, ...args);
    };
  const program = programOf(concludes, around, said, !isAboutCompletion(argv)).hook('preAction', async (_, command) => {
    // Elsewhere --agent says of whom something is asked, and not who asks.
    const own = { agent: command.name() === 'agent' ? command.args[0]?.toUpperCase() : undefined };
    const options = { ...command.optsWithGlobals<SharedOptions>(), ...own };
    const reads = around.as === undefined && onlyRead.includes(nameOf(command));
    door = await openDoor(around, options, reads, color);
  });
  const look = (): Look => ({
    json: door?.json ?? argv.includes('--json'),
    quiet: door?.quiet ?? false,
    terminal: around.terminal.is,
    columns: around.terminal.columns,
    color,
    name: around.as?.agent,
  });
  try {
    if (isAboutCompletion(argv)) {
      const below = await addCompletions(program, argv);
      await program.parseAsync(argv, { from: 'user' });
      return { exit: Exit.ok, stdout: below, stderr: '' };
    }
    await program.parseAsync(argv, { from: 'user' });
    return render(conclusion ?? { exit: Exit.ok }, look());
  } catch (error) {
    if (error instanceof CommanderError) {
      const exit = exitOf(error, argv);
      if (exit !== Exit.ok && look().json) return renderFault(usageOf(error, said), look());
      return { exit, stdout: said.stdout, stderr: said.stderr };
    }
    if (around.signal.aborted) return render(interrupted, look());
    return renderFault(hintAsTyped(inOwnWords(error), around.program), look());
  } finally {
    await door?.close();
  }
}

/** Ctrl-C, where the command has nothing to say about it: a person knows, a program is told. */
const interrupted: Conclusion = { exit: Exit.interrupted, error: { code: 'interrupted', message: 'Interrupted.' } };

/** What commander printed, and where it said that help is. */
type Said = { stdout: string; stderr: string; see: string };

function usageOf({ code, message }: CommanderError, { see: hint }: Said): Fault {
  if (code === 'commander.help') return new Fault('usage', 'There is a command missing.', { hint });
  return new Fault('usage', message.replace(/^error: /, ''), { hint });
}

/** Help that was asked for is a success; help in place of a missing command is wrong usage. */
function exitOf(error: CommanderError, argv: readonly string[]): ExitCode {
  return error.exitCode === 0 || (error.code === 'commander.help' && argv[0] === 'help') ? Exit.ok : Exit.usage;
}

function programOf(concludes: Concluding, around: Surroundings, said: Said, showsCompletion: boolean): Command {
  const { as, capabilities = allCapabilities } = around;
  const ofAgent = agentCommands(capabilities, concludes).find((command) => command.name() === as?.agent);
  const program = ofAgent ?? wholeProgram(concludes, capabilities);
  program.version(around.version, '-V, --version', 'print the version').addHelpText(
    'after',
    `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not allowed, 4 no bus,
5 not found, 6 conflict, 7 damaged, 9 done in part or fallback taken,
130 interrupted.
The bus is found by --url, else LEVEREDGE_URL, else LEVEREDGE_PORT and
LEVEREDGE_HOST, else as the one that runs on the home, else by
config/leveredge.yaml in the home, else at ${usualUrl}.
${as === undefined ? fromDisk : ofAgentFromDisk}Its token is in the file that LEVEREDGE_TOKEN_FILE names, else
in shared/credentials/owner.token in the home, when it is the home's bus.`,
  );
  if (showsCompletion) program.addCommand(completion());
  shareOptions(program, around, said);
  return program;
}

const fromDisk = `Without it events, pending, inbox, dead-letters, subscriptions, explain and
what of the agents only reads answer from disk.
`;
const ofAgentFromDisk = 'Without it what only reads answers from disk.\n';

function wholeProgram(concludes: Concluding, capabilities: readonly Capability[]): Command {
  const program = new Command('leveredge').description(
    'The safety net and the nervous system for people who run their own automation server.',
  );
  const ofAgents = agentCommands(capabilities, concludes);
  const all = [...commands.map((make) => make(concludes)), ...ofAgents, ...lastCommands.map((make) => make(concludes))];
  for (const command of all) program.addCommand(command);
  return program;
}

/** How a person starts what runs here. */
const typedOf = ({ as, program }: Surroundings) => as?.program ?? program;

/** Every command takes the same four options and leaves printing and exiting to the caller. */
function shareOptions(command: Command, around: Surroundings, said: Said): void {
  command
    .option('--json', 'print JSON')
    .option('-q, --quiet', 'print the result only')
    .option('--url <url>', 'where the bus is')
    .option('--home <folder>', 'the home, whose bus is meant')
    .exitOverride()
    .configureHelp({ minWidthToWrap: narrowestHelp })
    .configureOutput({
      writeOut: (text) => {
        said.stdout += text;
      },
      writeErr: (text) => {
        said.stderr += text;
      },
      getOutHelpWidth: () => Math.min(around.terminal.columns, widestHelp),
      getErrHelpWidth: () => Math.min(around.terminal.columns, widestHelp),
      outputError: (text, write) => {
        said.see = seeHelp(command, typedOf(around));
        write(`${around.as?.agent ?? 'leveredge'}: ${text.replace(/^error: /, '').trimEnd()}\n  ${said.see}\n`);
      },
    });
  for (const below of command.commands) shareOptions(below, around, said);
}

function seeHelp(command: Command, program: string): string {
  return `See: ${[program, nameOf(command), '--help'].filter(Boolean).join(' ')}`;
}

/** As it is typed, without the program's own name: `subscriptions add`. */
function nameOf(command: Command): string {
  const names: string[] = [];
  for (let each = command; each.parent; each = each.parent) names.unshift(each.name());
  return names.join(' ');
}
