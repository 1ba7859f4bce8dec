import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { rfc3339 } from '../../base/clock.ts';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { Table } from '../../base/table.ts';
import { parseAs } from '../../events/parse.ts';
import { scopeForms } from '../../events/scope.ts';
import { newTokenSchema, type Token, type TokenKind, tokenKinds } from '../../events/token.ts';
import type { Concluding } from './concluding.ts';
import type { Door } from './door.ts';
import { credentialsIn } from './find-token.ts';
import { collect, wholeNumber } from './option-values.ts';
import { shortIds } from './short-id.ts';
import { showTime } from './show-time.ts';

type CreateOptions = {
  kind: TokenKind;
  scope: string[];
  expires?: number;
  perMinute?: number;
  /** commander gives `true` for --file without a value. */
  file?: string | true;
};

/** leveredge token — who may do what on the bus: create, list, revoke. Works on the database file, with a bus or without. */
export function token(concludes: Concluding): Command {
  return new Command('token')
    .description('Make, show and revoke tokens, in the database of the home')
    .addCommand(create(concludes))
    .addCommand(list(concludes))
    .addCommand(revoke(concludes));
}

/** Exit 0 made (the token alone on stdout, or in the file), 2 it makes no sense, 6 the file exists. */
function create(concludes: Concluding): Command {
  return new Command('create')
    .description('Make a token. It is shown this once, or written into a file')
    .argument('<name>', 'whom it is for: the agent, the person or the tool; it acts in this name')
    .addOption(new Option('--kind <kind>', 'what that is').choices(tokenKinds).makeOptionMandatory())
    .requiredOption('--scope <scope>', 'what it may do; give it several times', collect)
    .option('--expires <time>', 'how long it is good: 12h, 90d, 1y (left out: until revoked)', duration)
    .option('--per-minute <n>', 'how many requests a minute it may send', wholeNumber)
    .option('--file [path]', 'write it into a file that only you can read (default: shared/credentials/NAME.token)')
    .addHelpText(
      'after',
      `\nScopes: ${scopeForms.slice(0, 5).join(', ')},\n${scopeForms.slice(5).join(', ')}.\nA pattern has * for any run of characters: publish:workflow_*`,
    )
    .action(
      concludes(async (door, name: string, options: CreateOptions) => {
        const wanted = parseAs(
          newTokenSchema,
          {
            name,
            kind: options.kind,
            scopes: options.scope,
            per_minute: options.perMinute ?? null,
            expires_in_ms: options.expires ?? null,
          },
          'The token',
        ).value;
        const to = fileFor(door, name, options.file);
        if (door.json && to === undefined)
          throw new Fault('usage', 'JSON ends up in logs, so no token is put into it.', {
            hint: 'Add --file, and the token is written there.',
          });
        const { token: made, secret } = await door.tokens.create(databaseOf(door), wanted, to);
        return {
          exit: Exit.ok,
          lines: [to ?? secret],
          json: { ...onTheWire(made, door.clock()), ...(to === undefined ? {} : { file: to }) },
          notes: [
            to === undefined
              ? 'This is the only time it is shown; the bus keeps its hash alone.'
              : 'Written there, for your eyes only; the bus keeps its hash alone.',
            `It acts as ${made.name} (${made.kind}) and may: ${made.scopes.join(', ')}.`,
            made.expiresAt === null
              ? 'It is good until it is revoked.'
              : `It is good until ${rfc3339(made.expiresAt)}.`,
          ],
        };
      }),
    );
}

/** Exit 0, also when there are none. */
function list(concludes: Concluding): Command {
  return new Command('list').description('Show the tokens, never what they are').action(
    concludes(async (door) => {
      const tokens = await door.tokens.list(databaseOf(door));
      const now = door.clock();
      return {
        exit: Exit.ok,
        table: tableOf(tokens, now, door.terminal.is),
        json: { tokens: tokens.map((each) => onTheWire(each, now)), count: tokens.length },
        notes: tokens.length === 0 ? ['There are no tokens.'] : [],
      };
    }),
  );
}

/** Exit 0 revoked, 5 no such token. */
function revoke(concludes: Concluding): Command {
  return new Command('revoke')
    .description('Revoke a token, or all of one name; it counts at once')
    .argument('<id or name>', 'the id, the beginning of it, or a name')
    .action(
      concludes(async (door, which: string) => {
        const revoked = await door.tokens.revoke(databaseOf(door), which);
        return {
          exit: Exit.ok,
          lines: revoked.map(({ id, name }) => `${id} of ${name} is revoked`),
          json: { revoked: revoked.map((each) => onTheWire(each, door.clock())) },
        };
      }),
    );
}

function databaseOf({ databaseFile, findHome, home }: Door): string {
  return databaseFile(findHome(home).dir);
}

function fileFor({ findHome, home }: Door, name: string, file: string | true | undefined): string | undefined {
  if (file !== true) return file === undefined ? undefined : resolve(file);
  if (!/^\w[\w.-]*$/.test(name))
    throw new Fault('usage', `${JSON.stringify(name)} makes no good name of a file.`, {
      hint: 'Say where: --file PATH',
    });
  return join(credentialsIn(findHome(home).dir), `${name}.token`);
}

const unitsMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, y: 365 * 86_400_000 } as const;
const longestMs = 100 * unitsMs.y;

function duration(value: string): number {
  const [, count, unit] = /^(\d{1,9})([mhdwy])$/.exec(value) ?? [];
  const ms = Number(count) * (unitsMs[unit as keyof typeof unitsMs] ?? Number.NaN);
  if (!(ms > 0 && ms <= longestMs)) throw new InvalidArgumentError('It must be a time such as 12h, 90d or 1y.');
  return ms;
}

function stateOf({ revokedAt, expiresAt }: Token, now: number): 'good' | 'expired' | 'revoked' {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'good';
}

const timeOf = (ms: number | null) => (ms === null ? null : rfc3339(ms));

function onTheWire(each: Token, now: number) {
  return {
    id: each.id,
    name: each.name,
    kind: each.kind,
    scopes: each.scopes,
    per_minute: each.perMinute,
    state: stateOf(each, now),
    created_at: timeOf(each.createdAt),
    expires_at: timeOf(each.expiresAt),
    last_used_at: timeOf(each.lastUsedAt),
    revoked_at: timeOf(each.revokedAt),
  };
}

function tableOf(tokens: readonly Token[], now: number, onTerminal: boolean): Table {
  const short = shortIds(tokens.map(({ id }) => id));
  const time = (ms: number | null, none: string) => {
    if (ms === null) return onTerminal ? none : '';
    return onTerminal ? showTime(rfc3339(ms), now) : rfc3339(ms);
  };
  return {
    columns: [
      { head: 'ID' },
      { head: 'NAME', least: 8 },
      { head: 'KIND' },
      { head: 'STATE' },
      { head: 'EXPIRES' },
      { head: 'LAST USED' },
      { head: 'A MINUTE', align: 'right' },
      { head: 'SCOPES', least: 12 },
    ],
    rows: tokens.map((each) => [
      onTerminal ? (short.get(each.id) ?? each.id) : each.id,
      each.name,
      each.kind,
      stateOf(each, now),
      time(each.expiresAt, 'never'),
      time(each.lastUsedAt, 'never'),
      each.perMinute === null ? '' : String(each.perMinute),
      each.scopes.join(', '),
    ]),
  };
}
