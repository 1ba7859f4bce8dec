import type { Client } from '../client/client.ts';
import { isEventId } from '../events/draft.ts';
import type { Event } from '../events/event.ts';
import type { Said } from './agent.ts';
import { eventOrNone } from './event-or-none.ts';

/** An event with more events before it in its chain of causes is taken for one of a loop. */
export const deepestChain = 16;

/** What is said of a chain that was cut. */
const loopCut = 'loop_cut';

type Link = Pick<Event, 'id' | 'action' | 'source_agent' | 'causation_id'>;

/**
 * The events that led to this one, nearest first, as `causation_id` tells; one more than the deepest chain at most. It ends
 * where nothing more is known: the bus has purged an event, or never had it.
 * @throws Fault as the bus said it
 */
export async function ancestorsOf(client: Pick<Client, 'event'>, event: Link): Promise<Link[]> {
  const found: Link[] = [];
  for (let id = event.causation_id; isEventId(id) && found.length <= deepestChain; ) {
    const link = await eventOrNone(client, id);
    if (link === undefined) break;
    found.push(link);
    id = link.causation_id;
  }
  return found;
}

/** `cut`: this agent does not react; `report` is what it says of that, undefined when that would feed a loop of its own. */
export type Verdict = { kind: 'react' } | { kind: 'cut'; because: string; report: Said | undefined };

/**
 * Whether an agent may react to an event. It does not hear its own echo, and nothing whose chain is deeper than any that
 * serves a purpose. Of a report others may react (a person must hear of it), but what comes of that is cut without another.
 */
export function judge(agent: string, event: Link & Pick<Event, 'target'>, ancestors: readonly Link[]): Verdict {
  const isEcho = event.source_agent === agent;
  const isDeep = ancestors.length > deepestChain && event.action !== loopCut;
  if (!isEcho && !isDeep) return { kind: 'react' };
  const because = isEcho ? 'echo' : 'depth';
  const isReported = [event, ...ancestors].some(({ action }) => action === loopCut);
  return { kind: 'cut', because, report: isReported ? undefined : reportOf(agent, event, ancestors, because) };
}

function reportOf(
  agent: string,
  { id, action, target }: Parameters<typeof judge>[1],
  ancestors: readonly Link[],
  because: 'echo' | 'depth',
): Said {
  const says =
    because === 'echo'
      ? `${agent} has heard what it said itself (${action}), and does not react to it.`
      : `${agent} does not react to ${action}: more than ${deepestChain} events led to it, so they go round in a circle.`;
  const chain = ancestors.map((link) => ({ id: link.id, source_agent: link.source_agent, action: link.action }));
  return { action: loopCut, target, details: { agent, because, says, event: id, action, chain } };
}
