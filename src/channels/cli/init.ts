import { setTimeout as pause } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { agentNames, type Door } from './door.ts';
import { type Outcome, outcomeDocument, outcomeLines } from './init/describe-step.ts';
import { startCommand } from './init/home-pages.ts';
import { judge } from './init/judge.ts';
import { planOf, type Units, type Wanted } from './init/plan.ts';
import type { Server, Step } from './init/step.ts';
import { serviceSteps } from './init/unit-steps.ts';

type Options = {
  dryRun?: boolean;
  units?: Units;
  user?: string;
  start?: boolean;
  links?: boolean;
  agents?: boolean;
  bots?: boolean;
};

const usualUser = 'leveredge';
const userName = /^[a-z_][a-z0-9_-]{0,30}$/;
/** Users of agents and of the control bot are called after that of the bus, and no name may have more than 31 characters. */
const longestWithOthers = 22;
const answerLimitMs = 30_000;
const answerPauseMs = 250;
const staysMs = 3_000;

/**
 * leveredge init — makes what a server needs: folders, pages, configuration, units for the bus and the agents, links. What is
 * there is never changed. Exit 0 all is there, 9 done but for what is named, 1 a step failed and those after it were not tried, 2 wrong usage,
 * 3 only root may.
 * --json: one document with the home and each step.
 */
export function init(concludes: Concluding): Command {
  return new Command('init')
    .description('Make what a server needs: folders, configuration, units; change nothing that is there')
    .option('--dry-run', 'only say what would be done')
    .addOption(
      new Option('--units <kind>', 'the units (default: system for root, else user)').choices([
        'system',
        'user',
        'none',
      ]),
    )
    .option('--user <name>', `who runs the bus, with --units system (default: ${usualUser})`)
    .option('--no-agents', 'leave the agents out: no units, users and tokens for them')
    .option('--no-bots', 'leave the Telegram bots out: no units and users for them')
    .option('--no-links', 'as root too, make no links in /usr/local/bin')
    .option('--start', 'enable the units, start them, and wait until each is heard')
    .addHelpText(
      'after',
      `
--units system: as root; bus, agents and bots run as users of their own, and see
and write only what they need; GAIA alone is root, and does for others what a
list says. --units user: weaker, all of them have all rights of that user.
May be run again at any time: it says what is there and makes what is missing.`,
    )
    .action(concludes((door, options: Options) => setUp(door, options)));
}

async function setUp(door: Door, options: Options): Promise<Conclusion> {
  const server = await door.server();
  const dry = options.dryRun === true;
  const wanted = await wantedBy(door, options, server);
  const outcomes: Outcome[] = [];
  for (const step of planOf(wanted, server)) {
    const outcome = dry ? looked(step, server, outcomes) : await done(door, wanted.home, step, server, outcomes);
    outcomes.push(outcome);
    if (outcome.state === 'failed') break;
  }
  return conclude(wanted, outcomes, dry, door, server);
}

async function wantedBy(
  door: Door,
  { units, user, start = false, dryRun, links = true, agents = true, bots = true }: Options,
  server: Server,
): Promise<Wanted> {
  const kind = units ?? (server.isRoot ? 'system' : 'user');
  if (user !== undefined && kind !== 'system')
    throw new Fault('usage', '--user goes with --units system: any other bus runs as whoever starts it.');
  if (user !== undefined && (!userName.test(user) || user === 'root'))
    throw new Fault('usage', `${JSON.stringify(user)} cannot be the user of the bus.`, {
      hint: 'A name of small letters, digits, - and _, and not root: what listens to others should have few rights.',
    });
  if ((agents || bots) && (user?.length ?? 0) > longestWithOthers)
    throw new Fault('usage', `${user} is too long a name: the users of the agents are called after it.`, {
      hint: `Up to ${longestWithOthers} characters; or leave the others out: --no-agents --no-bots`,
    });
  if (start && kind === 'none') throw new Fault('usage', '--start goes with a unit, and --units none writes none.');
  if (kind === 'system' && !server.isRoot && dryRun !== true)
    throw new Fault('forbidden', 'Only root can write units of the system.', {
      hint: 'Run it with sudo; or write a weaker unit of your own (--units user), or none (--units none).',
    });
  const home = door.findHome(door.home).dir;
  const { host, port } = await door.busAddress({ home: door.home });
  return {
    home,
    units: kind,
    user: kind === 'system' ? (user ?? usualUser) : door.user,
    agents: agents ? agentNames : [],
    bots,
    start,
    linked: links,
    url: urlOf(host, port),
    version: door.version,
  };
}

function urlOf(host: string, port: number): string {
  const at = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${at.includes(':') ? `[${at}]` : at}:${port}`;
}

/** What would become of it. What lies below something that is in the way is not judged. */
function looked(step: Step, server: Server, before: readonly Outcome[]): Outcome {
  if ('path' in step && before.some((each) => bars(each, step.path)))
    return { step, state: 'left out', says: 'what is above it is in the way' };
  const verdict = judge(step, server);
  if (verdict.kind === 'missing') return { step, state: 'would do' };
  if (verdict.kind === 'there')
    return { step, state: 'there', ...(verdict.remark === undefined ? {} : { says: verdict.remark }) };
  // What is not set up, or wrong, is told as it is.
  const { kind: state, ...more } = verdict;
  return { step, state, ...more };
}

function bars({ step, isInTheWay }: Outcome, path: string): boolean {
  return isInTheWay === true && step.kind === 'folder' && path.startsWith(`${step.path}/`);
}

async function done(
  door: Door,
  home: string,
  step: Step,
  server: Server,
  before: readonly Outcome[],
): Promise<Outcome> {
  const outcome = looked(step, server, before);
  if (outcome.state !== 'would do') return outcome;
  try {
    server.make(step);
  } catch (error) {
    return { step, state: 'failed', says: reasonOf(error), ...remedy(error) };
  }
  if (step.kind !== 'service' || step.heard === 'socket') return { step, state: 'done' };
  const { heard } = step;
  if (await isHeard(door, home, step, server)) return { step, state: 'done' };
  const says =
    heard === 'health'
      ? 'it was started, and the bus of this home does not answer there'
      : heard === 'process'
        ? 'it was started, and has ended'
        : 'it was started, and the bus does not hear of it';
  return { step, state: 'failed', says, todo: `${journal(step)}, and: ${door.program} doctor` };
}

function remedy(error: unknown): Pick<Outcome, 'todo'> {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM')
    return { todo: 'Run init as the user who may (root), or choose another home with --home.' };
  if (code === 'EROFS') return { todo: 'That disk is mounted for reading only: choose another home with --home.' };
  if (code === 'ENOSPC' || code === 'EDQUOT') return { todo: 'Make room, and run init again.' };
  return { todo: 'Mend that and run init again, or choose another home with --home.' };
}

function isHeard(
  door: Door,
  home: string,
  { unit, manager, heard, url }: Extract<Step, { kind: 'service' }>,
  server: Server,
): Promise<boolean> {
  if (heard === 'health') return answers(door, home, url);
  if (heard === 'process') return stays(door, () => server.unitState(unit, manager).runs);
  return typeof heard === 'object' ? isAlive(door, url, heard.agent) : Promise.resolve(true);
}

/** What cannot work ends at once, and nobody else hears of it. */
async function stays(door: Door, runs: () => boolean): Promise<boolean> {
  for (const end = door.clock() + staysMs; door.clock() < end && !door.signal.aborted; await pause(answerPauseMs))
    if (!runs()) return false;
  return runs();
}

/** Whether the bus of this home answers there, and not another that had the port before. */
function answers(door: Door, home: string, url: string): Promise<boolean> {
  return inTime(door, async () => {
    const health = await door.connect(url).health(answerLimitMs);
    const life = await door.databaseLife(door.databaseFile(home));
    return life.kind === 'unknown' || (life.kind === 'known' && life.epoch === (health.epoch ?? life.epoch));
  });
}

function isAlive(door: Door, url: string, agent: string): Promise<boolean> {
  return inTime(door, async () =>
    (await door.connect(url).agents()).some((each) => each.agent === agent && each.state === 'alive'),
  );
}

async function inTime(door: Door, isSo: () => Promise<boolean>): Promise<boolean> {
  const end = door.clock() + answerLimitMs;
  for (;;) {
    if (await isSo().catch(() => false /* not yet; the clock has the last word */)) return true;
    if (door.clock() > end || door.signal.aborted) return false;
    await pause(answerPauseMs);
  }
}

const journal = ({ unit, manager }: { unit: string; manager: string }) =>
  `journalctl ${manager === 'user' ? '--user ' : ''}-u ${unit} -n 50`;

function conclude(wanted: Wanted, outcomes: readonly Outcome[], dry: boolean, door: Door, server: Server): Conclusion {
  const { home, units, start, user } = wanted;
  const count = (...states: Outcome['state'][]) => outcomes.filter(({ state }) => states.includes(state)).length;
  const failed = count('failed');
  const wrong = count('wrong', 'left out');
  const later = count('not yet');
  const services = units === 'none' ? [] : serviceSteps({ ...wanted, manager: units });
  const isWritten = outcomes.some(
    ({ step, state }) => step.kind === 'file' && step.mustMatch && ['done', 'there'].includes(state),
  );
  const summary = `${count('there')} there, ${dry ? `${count('would do')} to do` : `${count('done')} done`}, ${later > 0 ? `${later} not set up yet, ` : ''}${wrong} wrong.`;

  return {
    exit: failed > 0 ? Exit.failed : wrong > 0 ? Exit.partial : Exit.ok,
    lines: outcomes.flatMap(outcomeLines),
    json: { home, units, dry_run: dry, fine: failed + wrong === 0, steps: outcomes.map(outcomeDocument) },
    notes: [
      `Home: ${home} (${door.findHome(door.home).because}). ${summary}`,
      ...(dry ? ['Nothing was changed.'] : []),
      ...(failed > 0 ? ['What stands after the step that failed was not tried. Init may be run again.'] : []),
      ...(units === 'user' && failed === 0 ? [weaker(user)] : []),
      ...(wanted.bots && units === 'system' && server.emergencyBot(home) === undefined ? [withoutEmergency] : []),
      ...(isWritten && !start && failed === 0
        ? [`To start them, now and after each boot: ${startCommand(services)}`]
        : []),
    ],
  };
}

const withoutEmergency =
  'The emergency bot was left out, because nobody can tell where its files are: see gaia doctor, and run init again.';

const weaker = (user: string) =>
  `Units of a user are weaker than those that init writes as root: bus and agents have all rights of ${user}, and end when ${user} logs out, unless: loginctl enable-linger ${user}`;
