import { basename } from 'node:path';
import { Command } from 'commander';
import type { Concluding } from './concluding.ts';
import type { Door } from './door.ts';
import { installationOf, systemctl } from './examine/installation.ts';
import { telegramUnitName } from './init/telegram-unit.ts';
import { wholeNumber } from './option-values.ts';

type Options = { botTokenFile?: string; user?: number };

/** leveredge telegram — the control bot: setup, bot. */
export function telegram(concludes: Concluding): Command {
  return new Command('telegram')
    .description('Talk to this server from your phone: set up and run the control bot')
    .addCommand(setup(concludes))
    .addCommand(bot(concludes));
}

const tokenFlag = ['--bot-token-file <file>', 'the file of the bot’s token (default: in shared/credentials)'] as const;

/**
 * Exit 0 set up, 2 no token or nothing confirmed, 3 Telegram does not take the token. What it asks is asked on stderr and
 * answered on stdin.
 */
function setup(concludes: Concluding): Command {
  return new Command('setup')
    .description('Set the control bot up, in three steps')
    .option(...tokenFlag)
    .option('--user <id>', 'who it listens to, where that is known already', wholeNumber)
    .addHelpText(
      'after',
      `
1. @BotFather gives you a bot and its token; it is asked for, or read from
   TELEGRAM_CONTROL_BOT_TOKEN, and kept in a file that only you can read.
2. You send /start to your bot.
3. Your number is shown here, and you confirm it.`,
    )
    .action(
      concludes(async (door, options: Options) => {
        const made = await door.setUpTelegram(flagsOf(door, options), options.user);
        return { ...made, notes: [...(made.notes ?? []), ...(await howToStart(door))] };
      }),
    );
}

/** As it is started here: by its unit, else by whoever runs the bus. */
async function howToStart(door: Door): Promise<string[]> {
  const server = await door.server();
  const installed = installationOf(door.findHome(door.home).dir, server);
  if (!server.hasSystemd || installed === undefined || installed.units === 'none' || !installed.bots)
    return [
      `Start it: ${door.program} telegram bot`,
      'Or, where that runs the bus: stop leveredge up, and start it again.',
    ];
  const { runs } = server.unitState(telegramUnitName, installed.units);
  const name = basename(telegramUnitName, '.service');
  return [`Start it: ${systemctl(door, installed)} ${runs ? 'restart' : 'enable --now'} ${name}`];
}

/**
 * Exit 0 stopped, 2 mistakes in its settings, 3 a token is refused, 5 not set up yet. --json: one line with bot, bus and pid as
 * soon as it runs.
 */
function bot(concludes: Concluding): Command {
  return new Command('bot')
    .description('Run the control bot until Ctrl-C')
    .option(...tokenFlag)
    .addHelpText(
      'after',
      '\nIt waits while the bus or Telegram is away, and writes its log to stderr.\nTELEGRAM_API_ROOT names another Telegram: see fake-telegram.',
    )
    .action(concludes((door, options: Options) => door.runTelegramBot(flagsOf(door, options), door)));
}

const flagsOf = ({ home, url }: Door, { botTokenFile }: Options) => ({ home, url, botTokenFile });
