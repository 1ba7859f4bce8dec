import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { type Log, makeLog } from '../../base/log.ts';
import { readPrivately } from '../../base/private-file.ts';
import { shellWord } from '../../base/shell-word.ts';
import { requireToken, telegramApi, telegramRoot } from '../bot/api.ts';
import { deliver } from '../bot/deliver.ts';
import { memoryIn } from '../bot/memory.ts';
import { poll } from '../bot/poll.ts';
import type { Around, Call, Command, Conclusion } from '../command.ts';
import { authorizedUsers, usersIn } from '../emergency/authorized-users.ts';
import { closedWay } from '../emergency/closed-way.ts';
import { botUser, type Spool, spoolIn } from '../emergency/spool.ts';
import { botUnit, unitPlace } from '../emergency/units.ts';

/** Names under which systemd hands the two files over (LoadCredential). */
const credentials = { token: 'telegram_token', users: 'authorized_users' };

/** gaia bot — the emergency bot: hands what listed people write to the runner, and tells what that says. */
export const bot: Command = {
  name: 'bot',
  summary: 'Listen on Telegram, and forward to the runner',
  usage: '[--unit]',
  words: [0, 0],
  flags: {
    spool: { value: 'DIR', says: 'where it meets the runner; else what the configuration says' },
    'token-file': { value: 'FILE', says: 'its token, from @BotFather (0600)' },
    unit: { says: 'print the unit for systemd instead (gaia-emergency.service)' },
    'users-file': { value: 'FILE', says: 'ids of those who may ask, one a line (0600)' },
  },
  details: [
    'It holds no secret but its token, and can restore nothing: what it forwards is done by gaia runner, once a code confirms it. Before it opens anything it gives up every right but the network, its own code, three folders and two files (the permission model of Node).',
    'It listens to private chats with the listed users. Strangers get no answer. TELEGRAM_API_ROOT names another address than https://api.telegram.org.',
  ],
  example: 'gaia bot',
  exits: [
    '0 ended by a signal',
    '2 a mistake in the configuration',
    '3 the token is none, or others can read it',
    '5 no runner was started yet, or systemd has handed nothing over',
  ],
  isApart: true,
  async run(call) {
    const { around } = call;
    if (call.flags.unit === true) return printUnit(call);
    const where = placesOf(call);
    const spool = spoolIn(where.spool);
    requireSpool(spool);
    requireApart(where, spool);
    if (!around.isConfined)
      return around.confine({
        reads: [where.tokenFile, where.usersFile, spool.requests, spool.memory, spool.replies],
        writes: [spool.requests, spool.memory],
        args: ['bot', '--spool', where.spool, '--token-file', where.tokenFile, '--users-file', where.usersFile],
      });
    const read = (file: string) => readPrivately(file, { isBrought: isHandedOver(around, file) });
    const token = requireToken(read(where.tokenFile), where.tokenFile);
    const users = usersIn(where.usersFile, read(where.usersFile));
    const log = withoutToken(around, token);
    // Whichever of the two ends first ends the other.
    const stop = new AbortController();
    const signal = AbortSignal.any([around.signal, stop.signal]);
    const api = telegramApi(around.telegramRoot ?? telegramRoot, token);
    const memory = memoryIn(spool.memory, log);
    const deps = { ...{ api, spool, memory, users, clock: around.clock, log, signal }, pause: around.pause };
    log.info('the bot listens', { users: users.size });
    const ends = [poll(deps), deliver(deps)].map((each) => each.finally(() => stop.abort()));
    await Promise.all(ends);
    return { exit: Exit.ok };
  },
};

/** What would keep it from starting is said beside it. */
function printUnit({ around, config }: Call): Conclusion {
  const place = unitPlace(around.startsWith, around.home, config());
  const folder = closedWay([...place.program, place.spool]);
  const raw = botUnit(place);
  if (folder === undefined) return { exit: Exit.ok, raw };
  return {
    ...{ exit: Exit.ok, raw },
    wrong: [
      `${botUser} may not pass ${folder}, so this unit would not start.`,
      `  Put the program elsewhere, as gaia to /usr/local/bin, or: chmod o+x ${shellWord(folder)}`,
    ],
  };
}

/** What it needs, from the command line, else from systemd, else from the configuration. */
function placesOf({ flags, around, config }: Call): { spool: string; tokenFile: string; usersFile: string } {
  const named = (flag: string) => (flags[flag] === undefined ? undefined : resolve(String(flags[flag])));
  const handed = (name: string) => {
    const file = around.credentials === undefined ? undefined : join(around.credentials, name);
    return file !== undefined && existsSync(file) ? file : undefined;
  };
  const tokenFile = named('token-file') ?? handed(credentials.token);
  const usersFile = named('users-file') ?? handed(credentials.users);
  const spool = named('spool');
  if (tokenFile !== undefined && usersFile !== undefined && spool !== undefined) return { spool, tokenFile, usersFile };
  if (tokenFile === undefined || usersFile === undefined) requireHandedOver(around);
  const { emergency } = config();
  // Where it names others than the file, that is said here, before the configuration is out of reach.
  if (usersFile === undefined) authorizedUsers(emergency);
  return {
    spool: spool ?? emergency.spool,
    tokenFile: tokenFile ?? emergency.tokenFile,
    usersFile: usersFile ?? emergency.usersFile,
  };
}

/**
 * A user that is not root finds nothing else: where they lie they are root's.
 * @throws Fault `not-found`
 */
function requireHandedOver({ credentials: folder, uid }: Around): void {
  if (folder === undefined || uid === 0) return;
  throw new Fault('not-found', `systemd has not handed over the token and the list of users (in ${folder}).`, {
    hint: 'The unit of gaia bot --unit does (LoadCredential). In a container without a shared / it cannot: mount --make-rshared / before systemd starts there.',
  });
}

/** Copies that systemd makes for one service can be read by nobody else, whatever their mode seems to say. */
function isHandedOver({ credentials: folder }: Around, file: string): boolean {
  return folder !== undefined && file.startsWith(`${folder}/`);
}

/** @throws Fault `not-found` */
function requireSpool({ requests, memory, replies, folder }: Spool): void {
  if ([requests, memory, replies].every((each) => existsSync(each))) return;
  throw new Fault('not-found', `There is no spool at ${folder} yet; the runner makes it.`, {
    hint: 'Start it first: systemctl start gaia-runner, or gaia runner',
  });
}

/**
 * Node's permission model loses a folder of which a file is named too. And what the bot may write it must not believe.
 * @throws Fault `usage`
 */
function requireApart(
  { tokenFile, usersFile }: ReturnType<typeof placesOf>,
  { requests, memory, replies }: Spool,
): void {
  const within = [tokenFile, usersFile].find((file) =>
    [requests, memory, replies].some((folder) => file.startsWith(`${folder}/`)),
  );
  if (within === undefined) return;
  throw new Fault('usage', `${within} lies in a folder where bot and runner meet.`, {
    hint: 'Keep the token and the list of users elsewhere, as in gaia/.',
  });
}

/** The token is in no line that this writes; should it get into one all the same, it is taken out. */
function withoutToken({ say, clock }: Around, token: string): Log {
  return makeLog((line) => say(line.trimEnd().replaceAll(token, '(token)')), clock);
}
