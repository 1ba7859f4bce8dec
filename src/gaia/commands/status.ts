import { Exit } from '../../base/exit.ts';
import { leftovers } from '../../recovery/restore/undo.ts';
import { type RunState, type Status, statusOf } from '../../recovery/run/status.ts';
import { showSpan, showTime } from '../amounts.ts';
import { busLines } from '../bus-words.ts';
import type { Call, Command, Conclusion } from '../command.ts';
import { followRun } from '../follow-run.ts';
import { waysOut } from '../targets.ts';

const shownRuns = 5;

/** gaia status — what runs, what was interrupted, how the last runs ended. */
export const status: Command = {
  name: 'status',
  summary: 'Show what runs, what was interrupted and how the last runs ended',
  usage: '[--follow]',
  words: [0, 0],
  flags: { follow: { says: 'watch the run that works now until it ends' } },
  details: ['Changes nothing. Ctrl-C ends the watching, and not the run.'],
  example: 'gaia status --follow',
  exits: ['0 nothing waits', '9 a run was interrupted', 'with --follow the code of the run'],
  async run(call) {
    const { place } = call.config();
    const now = statusOf(place);
    const running = now.runs.find(({ state }) => state === 'running');
    if (call.flags.follow === true && running !== undefined) return followRun(call, running.folder);
    return describe(now, call);
  },
};

function describe({ holder, runs }: Status, call: Call): Conclusion {
  const { place, keepAsideHours } = call.config();
  const interrupted = runs.filter(({ state }) => state === 'interrupted');
  const last = runs
    .filter(({ state }) => state === 'ended')
    .slice(-shownRuns)
    .reverse();
  const now = call.around.clock();
  const kept = leftovers(place);
  const bus = busLines(call.config());
  const lines = [
    holder === undefined ? 'Nothing runs.' : `${holder.verb} runs, process ${holder.pid}, since ${holder.since}.`,
    ...interrupted.flatMap(waysOut),
    ...last.map(
      ({ id, request, outcome }) =>
        `${showTime(Date.parse(outcome?.at ?? ''))} UTC  ${request.kind} of ${request.target.name}: ${outcome?.kind}. ${outcome?.says} (${id}${request.cause === undefined ? '' : `, for ${request.cause}`})`,
    ),
    ...kept.map(({ run, paths, sinceMs }) => {
      const left = sinceMs + keepAsideHours * 3_600_000 - now;
      const until = left > 0 ? `kept ${showSpan(left)} more` : 'may go with the next gaia prune';
      return `Put aside by ${run.id}, ${until}: ${paths[0]}${paths.length > 1 ? ` and ${paths.length - 1} more` : ''}`;
    }),
    ...bus.lines,
  ];
  return {
    exit: interrupted.length > 0 ? Exit.partial : Exit.ok,
    lines,
    json: {
      holder: holder ?? null,
      interrupted: interrupted.map(jsonOf),
      runs: runs.map(jsonOf),
      aside: kept.map(({ run, paths, sinceMs }) => ({
        run: run.id,
        target: run.request.target.name,
        paths,
        since: new Date(sinceMs).toISOString(),
      })),
      bus: bus.json,
    },
  };
}

function jsonOf({ id, request, state, step, inSwap, outcome }: RunState) {
  const { kind, target, backup, only, cause, created_at } = request;
  return {
    id,
    kind,
    target: target.name,
    backup: backup?.name ?? null,
    only,
    cause: cause ?? null,
    state,
    step,
    in_swap: inSwap,
    created_at,
    outcome: outcome ?? null,
  };
}
