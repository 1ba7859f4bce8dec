import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { name } from '../../events/name.ts';
import { compilePattern } from '../../events/pattern.ts';
import type { Bus } from '../bus.ts';
import { placeAfter } from '../paging.ts';
import { wholeNumber } from '../query.ts';
import { type Route, route } from '../route.ts';
import type { Passes } from '../store/store.ts';
import type { Streams } from '../streams/streams.ts';
import { watchToken } from '../watch-token.ts';

const maxLast = 1_000;
const maxBookmarkLength = 4_000;

const query = z.object({
  after: z
    .string()
    .max(maxBookmarkLength, 'is no bookmark of this bus')
    .optional()
    .meta({ description: 'Begin after this bookmark. A Last-Event-ID header beats it, and last and from too' }),
  last: wholeNumber(1, maxLast).optional().meta({ description: 'Begin with the last so many of those that fit' }),
  from: z
    .literal('start', 'must be start, or be left out to begin now')
    .optional()
    .meta({ description: 'start begins with the oldest event' }),
  source_agent: name.optional().meta({ description: 'Only what this agent published; exact' }),
  action: name.optional().meta({
    description: 'Only actions that fit this pattern: * stands for any run of characters, all else is literal',
  }),
  agent: name.optional().meta({ description: 'Only what this agent hears, by queue or by tail' }),
});

type Query = z.infer<typeof query>;

/** GET /events/stream: everything, oldest first, without an end: first what was after the bookmark, then what happens. */
export function streamEvents(bus: Bus): Route {
  const { store, streams } = bus;
  return route({
    method: 'GET',
    path: '/events/stream',
    operationId: 'streamEvents',
    tag: 'Events',
    needs: 'read',
    summary: 'Follow the events as they happen',
    description:
      'Server-sent events without an end, oldest first. Each message is an event as GET /events/{id} gives it, and its id is the bookmark; a reader that connects again with it in Last-Event-ID gets each event once and in order. Without a place to begin, it begins now. Every 15 seconds a comment shows that all is well, and moves the bookmark where nothing fits. A message named goaway says that the bus ends the stream: connect again.',
    query,
    answers: { 200: { description: 'The events, one message each', contentType: 'text/event-stream' } },
    faults: ['cursor-invalid', 'queue-full'],
    async handle({ query, headers, principal }) {
      const passes = passesOf(query);
      const place = await placeAfter(headers['last-event-id'], query.after, store);
      if (place === undefined) requireOneBeginning(query);
      const after = place ?? (await beginningOf(query, passes, streams));
      streams.requireRoom();
      return {
        stream(outlet) {
          watchToken(bus, principal, outlet);
          streams.follow(outlet, after ?? store.head(), passes);
        },
      };
    },
  });
}

async function beginningOf({ last, from }: Query, passes: Passes | undefined, streams: Streams) {
  if (from === 'start') return 0;
  return last === undefined ? undefined : streams.placeOfLast(last, passes);
}

function requireOneBeginning({ last, from }: Query): void {
  if (last === undefined || from === undefined) return;
  throw new Fault('invalid', 'The query makes no sense: last and from name two places to begin.', {
    mistakes: [{ pointer: 'last', detail: 'cannot stand beside from' }],
    hint: 'Give one of them.',
  });
}

/** What the filter lets through, or undefined when there is none. */
function passesOf({ source_agent, action, agent }: Query): Passes | undefined {
  if (source_agent === undefined && action === undefined && agent === undefined) return undefined;
  const fits = action === undefined ? undefined : compilePattern(action);
  return (event) =>
    (source_agent === undefined || event.source_agent === source_agent) &&
    (fits === undefined || fits(event.action)) &&
    (agent === undefined || event.subscribed_agents.includes(agent));
}
