import { statSync } from 'node:fs';
import { Fault } from '../../../base/fault.ts';

/** Undefined while the file that lay here at first still does, else what is wrong, as a Fault. */
export type InPlace = () => Fault | undefined;

/**
 * Watches that a file stays the one it is. SQLite goes on writing into a file that was deleted or replaced under it, and
 * all that it confirms then is lost with the process.
 */
export function inPlaceOf(file: string): InPlace {
  if (file === ':memory:') return () => undefined;
  const first = identityOf(file);
  return () => (identityOf(file) === first ? undefined : moved(file));
}

function identityOf(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

function moved(file: string): Fault {
  return new Fault('unavailable', `The database ${file} was deleted, moved or replaced while the bus runs.`, {
    hint: 'Nothing is stored any more. Put the very file back in its place, or stop the bus, look at what lies there now, and start it again.',
  });
}
