import type { Table } from '../../base/table.ts';
import type { Event } from '../../events/event.ts';
import type { Door } from './door.ts';
import { shortIds } from './short-id.ts';
import { showTime } from './show-time.ts';

/** Events as rows: short times and ids on a terminal, whole ones in a pipe. The columns stay as they are for scripts. */
export function eventTable(events: readonly Event[], { terminal, clock }: Pick<Door, 'terminal' | 'clock'>): Table {
  const short = shortIds(events.map(({ id }) => id));
  return {
    columns: [
      { head: 'UTC' },
      { head: 'ID' },
      { head: 'SOURCE', least: 8 },
      { head: 'ACTION', least: 12 },
      { head: 'TARGET', least: 6 },
      { head: 'STATUS' },
    ],
    rows: events.map((event) => [
      terminal.is ? showTime(event.timestamp, clock()) : event.timestamp,
      terminal.is ? (short.get(event.id) ?? event.id) : event.id,
      event.source_agent,
      event.action,
      event.target ?? '',
      stateOf(event),
    ]),
  };
}

/** A question's state says more than its status: `timed_out` rather than `timeout`, `cancelled` rather than `failed`. */
function stateOf({ human_state: state, status }: Event): string {
  return state === 'open' ? 'asks' : (state ?? status);
}
