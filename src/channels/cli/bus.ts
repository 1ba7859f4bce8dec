import { Command } from 'commander';
import type { Concluding } from './concluding.ts';
import type { BusFlags } from './door.ts';

type Options = Omit<BusFlags, 'home'>;

/**
 * leveredge bus — runs the event bus until Ctrl-C. Exit 0 stopped cleanly, 2 mistakes in the settings, 6 a taken port or
 * a second bus on this home, 7 a damaged database.
 * --json: one line with url, database, home and pid as soon as it listens; --quiet: the URL alone.
 */
export function bus(concludes: Concluding): Command {
  return running(new Command('bus').description('Run the event bus'), concludes);
}

/** leveredge up — runs what belongs to this server; so far that is the bus. */
export function up(concludes: Concluding): Command {
  return running(new Command('up').description('Run LeverEdge on this machine (so far: the event bus)'), concludes);
}

function running(command: Command, concludes: Concluding): Command {
  return command
    .option('--port <n>', 'the port to listen on (default: 8099; 0 takes any free one)')
    .option('--host <address>', 'the address to listen on (default: 127.0.0.1)')
    .option('--auth <kind>', 'who needs a token: loopback (nobody there), required (all)')
    .addHelpText(
      'after',
      '\nSettings also come from LEVEREDGE_PORT, LEVEREDGE_HOST, LEVEREDGE_AUTH and\nconfig/leveredge.yaml in the home.',
    )
    .action(
      concludes(({ runBus, home, json, quiet }, { port, host, auth }: Options) =>
        runBus({ home, port, host, auth }, { json, quiet }),
      ),
    );
}
