import { join } from 'node:path';

/** Where the database of a home lies. It depends on nothing but the home, so that no mistake in the settings hides it. */
export function databaseFileIn(home: string): string {
  return join(home, 'control-plane', 'event-bus', 'events.db');
}
