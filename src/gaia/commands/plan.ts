import { Exit, exitCodeOf } from '../../base/exit.ts';
import type { RestorePlan } from '../../recovery/restore/plan.ts';
import { showBytes, showCount, showSpan, showTime } from '../amounts.ts';
import { type Command, identityFlag } from '../command.ts';
import { prepareRestore } from '../prepare-restore.ts';
import { targetNamed } from '../targets.ts';

/** gaia plan — what a restore would do, and whether it would begin. Touches nothing. */
export const plan: Command = {
  name: 'plan',
  summary: 'Show what a restore would replace and what it needs; touch nothing',
  usage: 'TARGET [--backup B] [--only PATH|db|files]',
  words: [1, 1],
  flags: {
    backup: { value: 'B', says: 'a name, the beginning of one, or a path; else the newest sound one' },
    only: { value: 'WHAT', says: 'db (the databases), files (all but them), or a path of the target' },
    'fresh-server': { says: 'as gaia restore has it' },
    ...identityFlag,
  },
  details: ['The plan has a hash. gaia restore --plan HASH refuses to do anything else than what was shown.'],
  example: 'gaia plan dev --only n8n/data',
  exits: ['0 it would begin', 'else the code it would end with at once'],
  async run(call) {
    const target = targetNamed(call.config(), call.words[0] as string);
    const { prepared } = await prepareRestore(call, target);
    const shown = prepared.plan;
    const [refusal] = shown.refusals;
    return {
      exit: refusal === undefined ? Exit.ok : exitCodeOf(refusal.code),
      lines: planLines(shown, call.around.clock()),
      json: shown,
    };
  },
};

/** The plan for a person to read before they confirm it. */
export function planLines(shown: RestorePlan, nowMs: number): string[] {
  const {
    backup,
    only,
    databases,
    replaces,
    keeps,
    stops,
    health,
    files,
    bytes,
    space,
    open,
    warnings,
    refusals,
    hash,
  } = shown;
  const taken =
    backup.created_at === null
      ? ''
      : `, taken ${showTime(Date.parse(backup.created_at))} UTC, ${showSpan(nowMs - Date.parse(backup.created_at))} ago`;
  const amount =
    backup.format === 'own' ? `${showCount(files, 'file')}, ${showBytes(bytes)}` : 'how much is known once it is read';
  return [
    `Restore ${shown.target}${only === null ? '' : `, only ${only},`} from ${backup.name}${taken}.`,
    `  Brings:    ${amount}`,
    ...databases.map((text) => `  Replaces:  database ${text}`),
    ...replaces.map((path) => `  Replaces:  ${path}`),
    ...keeps.slice(0, 10).map((path) => `  Stays:     ${path}`),
    ...(keeps.length > 10 ? [`  Stays:     and ${keeps.length - 10} more paths`] : []),
    ...space.map(
      ({ folder, neededBytes, freeBytes }) =>
        `  Needs:     ${showBytes(neededBytes)} at ${folder}, where ${showBytes(freeBytes)} are free`,
    ),
    ...stopsAndAsks(stops, health),
    '  What is there now is put aside, and gaia undo brings it back.',
    ...open
      .filter(({ writes }) => !writes)
      .slice(0, 5)
      .map(({ pid, command, path }) => `  Note:      process ${pid} (${command}) has ${path} open, for reading`),
    ...warnings.map((text) => `  WARNING:   ${text}`),
    ...refusals.map(({ says }) => `  IN THE WAY: ${says}`),
    `  Plan:      ${hash}`,
  ];
}

/** What a restore and an undo do to services, and whom they ask afterwards. */
export function stopsAndAsks(stops: readonly string[], health: RestorePlan['health']): string[] {
  const lines = stops.map((file) => `  Stops:     ${file}, and starts it again`);
  if (typeof health === 'string') return lines;
  const { endpoints, n8n, withinSeconds, consecutive } = health;
  return [
    ...lines,
    ...endpoints.map(({ name, url }) => `  Asks:      ${name}, ${url}`),
    ...(n8n === undefined ? [] : [`  Asks:      n8n, ${n8n.url}${n8n.canary === null ? '' : ', and its canary'}`]),
    `             well ${consecutive} times in a row within ${withinSeconds} s, or all is taken back`,
  ];
}
