import { Argument, Command, InvalidArgumentError } from 'commander';
import { maxLeaseSeconds } from '../../events/delivery.ts';
import { maxHeartbeatSeconds, usualHeartbeatSeconds } from '../../events/heartbeat.ts';
import type { Concluding } from './concluding.ts';
import { type AgentName, agentNames } from './door.ts';
import { wholeNumber, wholeOrNone } from './option-values.ts';

type Options = { port?: number; lease: number; grace: number; heartbeat: number };

const usualLeaseSeconds = 30;
const usualGraceSeconds = 20;
const highestPort = 65_535;

/**
 * leveredge agent — runs one agent until Ctrl-C, over HTTP. Exit 0 stopped cleanly, 2 mistakes in the command line, 3 the bus
 * refuses its token. A bus that is away is waited for.
 * --json: one line with agent, bus, health and pid as soon as it hears.
 */
export function agent(concludes: Concluding): Command {
  return new Command('agent')
    .description('Run one agent as a process of its own')
    .addArgument(new Argument('<name>', 'which one').argParser(agentName))
    .option('--port <n>', 'where its health is asked, on this machine (default: its own; 0 takes any free one)', port)
    .option('--token-file <file>', 'the file of its token (default: shared/credentials/NAME.token in the home)')
    .option('--lease <seconds>', 'how long what it holds stays with it when it is killed', lease, usualLeaseSeconds)
    .option('--grace <seconds>', 'how long what it works on may take after Ctrl-C', wholeOrNone, usualGraceSeconds)
    .option('--heartbeat <seconds>', 'how often it tells the bus that it is alive', heartbeat, usualHeartbeatSeconds)
    .addHelpText(
      'after',
      `\nAgents: ${agentNames.join(', ')}.\nchronos backs a target up before a change of it that is announced on the bus.\nIt waits while the bus is away, and writes its log to stderr.`,
    )
    .action(
      concludes((door, name: AgentName, { port, lease, grace, heartbeat }: Options) => {
        const flags = { home: door.home, port, leaseSeconds: lease, graceSeconds: grace, heartbeatSeconds: heartbeat };
        return door.runAgent(name, flags, door.client, door);
      }),
    );
}

/** Also as it is called on the bus: CHRONOS. */
function agentName(typed: string): AgentName {
  const found = agentNames.find((each) => each === typed.toLowerCase());
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`There is no agent ${JSON.stringify(typed)}. There are: ${agentNames.join(', ')}.`);
}

function port(text: string): number {
  const n = wholeOrNone(text);
  if (n > highestPort) throw new InvalidArgumentError(`A port is a number up to ${highestPort}.`);
  return n;
}

function lease(text: string): number {
  const seconds = wholeNumber(text);
  if (seconds > maxLeaseSeconds) throw new InvalidArgumentError(`A lease is ${maxLeaseSeconds} seconds at most.`);
  return seconds;
}

function heartbeat(text: string): number {
  const seconds = wholeNumber(text);
  if (seconds > maxHeartbeatSeconds)
    throw new InvalidArgumentError(`Between two heartbeats lie ${maxHeartbeatSeconds} seconds at most.`);
  return seconds;
}
