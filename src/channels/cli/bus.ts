import { Command } from 'commander';
import type { Concluding } from './concluding.ts';
import { agentNames, type BusFlags } from './door.ts';

type Options = Omit<BusFlags, 'home'>;

/**
 * leveredge bus — runs the event bus until Ctrl-C. Exit 0 stopped cleanly, 2 mistakes in the settings, 6 a taken port or
 * a second bus on this home, 7 a damaged database.
 * --json: one line with url, database, home and pid as soon as it listens; --quiet: the URL alone.
 */
export function bus(concludes: Concluding): Command {
  return running(new Command('bus').description('Run the event bus'), concludes, 'runBus');
}

/**
 * leveredge up — runs the bus, the agents and, where it is set up, the control bot in one process until Ctrl-C, and makes a small example target in a home that has no
 * configuration of backups. Exits as bus. --json: the line of the bus, then one for each agent with agent, bus, health and pid, and
 * one for the bot with bot, bus and pid.
 */
export function up(concludes: Concluding): Command {
  const described = `Run the event bus, the agents (so far: ${agentNames.join(', ')}) and, once set up, the control bot in one process`;
  return running(new Command('up').description(described), concludes, 'runUp');
}

function running(command: Command, concludes: Concluding, how: 'runBus' | 'runUp'): Command {
  return command
    .option('--port <n>', 'the port to listen on (default: 8099; 0 takes any free one)')
    .option('--host <address>', 'the address to listen on (default: 127.0.0.1)')
    .option('--auth <kind>', 'who needs a token: loopback (nobody there), required (all)')
    .addHelpText(
      'after',
      '\nSettings also come from LEVEREDGE_PORT, LEVEREDGE_HOST, LEVEREDGE_AUTH and\nconfig/leveredge.yaml in the home.',
    )
    .action(
      concludes(({ [how]: run, home, json, quiet }, { port, host, auth }: Options) =>
        run({ home, port, host, auth }, { json, quiet }),
      ),
    );
}
