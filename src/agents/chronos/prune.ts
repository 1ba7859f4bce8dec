import { createHash } from 'node:crypto';
import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Handler, Prepared } from '../agent.ts';
import { type GaiaEffects, inItsTurn, resultOf, untilEnded } from '../gaia-end.ts';

/** Names in a question; of more only the number is told. */
const maxNamed = 20;

type Going = { names: string[]; aside: string[]; plan: string };

/** Pruning by GAIA, of just what was shown: what became due after the question is for the next time. */
export function pruneBy(effects: GaiaEffects): Handler {
  return {
    async prepare(args, { signal }): Promise<Prepared> {
      const going = await goingOf(effects, args, signal);
      requirePlan(args, going);
      const { names, aside, plan } = going;
      if (names.length + aside.length === 0) throw new Fault('conflict', 'There is nothing to prune.');
      const more = names.length > maxNamed ? [`and ${names.length - maxNamed} more`] : [];
      return {
        arguments: { ...args, plan },
        says: [
          ...(names.length === 0
            ? []
            : [`Into the trash for 48 hours: ${[...names.slice(0, maxNamed), ...more].join(', ')}.`]),
          ...(aside.length === 0 ? [] : [`Removed, put aside by restores: ${aside.join(', ')}.`]),
        ],
      };
    },
    async run(args, { id, signal }) {
      const forCall = ['prune', ...ofTarget(args), '--cause', id];
      const shown = resultOf(await inItsTurn(effects, [...forCall, '--dry-run', '--json', '--quiet'], signal));
      // Begun before, and killed before that could be told: then what is left of it is done, and nothing else.
      if (shown.done_before !== true) {
        const going = judged(shown);
        // Somebody else has done it meanwhile.
        if (going.names.length + going.aside.length === 0) return { trashed: [], aside_removed: [] };
        requirePlan(args, going);
      }
      const done = await untilEnded(effects, [...forCall, '--yes', '--json', '--quiet'], signal);
      const { trashed, aside_removed } = resultOf(done);
      return { trashed, aside_removed } as JsonObject;
    },
  };
}

const ofTarget = ({ target }: JsonObject) => (typeof target === 'string' ? ['--target', target] : []);

async function goingOf(effects: GaiaEffects, args: JsonObject, signal: AbortSignal): Promise<Going> {
  const words = ['prune', ...ofTarget(args), '--dry-run', '--json', '--quiet'];
  return judged(resultOf(await inItsTurn(effects, words, signal)));
}

function judged({ decisions, aside, clock_doubt }: JsonObject): Going {
  if (clock_doubt !== null)
    throw new Fault('conflict', `Nothing is pruned while the clock may be wrong: ${clock_doubt}.`);
  const names = (decisions as { name: string; keep: boolean }[]).filter(({ keep }) => !keep).map(({ name }) => name);
  const plan = createHash('sha256')
    .update(JSON.stringify([names, aside]))
    .digest('hex')
    .slice(0, 16);
  return { names, aside: aside as string[], plan };
}

function requirePlan({ plan }: JsonObject, going: Going): void {
  if (plan === undefined || plan === going.plan) return;
  throw new Fault('conflict', 'What would go is not what was shown.', {
    hint: 'Ask again, and look at what goes now.',
  });
}
