import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Client } from '../../client/client.ts';
import type { Capability } from '../../events/capability.ts';
import { parseAs } from '../../events/parse.ts';
import type { Door, OnDisk, Surroundings } from './door.ts';

/**
 * A client that reads from the database file when no bus answers, and says so once. What writes stays a failure: only the
 * bus writes. Once the bus did not answer it is not asked again, so that one command speaks of one state.
 * @throws Fault of the bus when there is no database either; else what is wrong with the database
 */
export function elseFromDisk(
  client: Client,
  around: Pick<Surroundings, 'readDatabase' | 'say'>,
  file: string,
): Client & { close(): Promise<void> } {
  let silence: Fault | undefined;
  let opened: Promise<OnDisk> | undefined;

  async function open(fault: Fault): Promise<OnDisk> {
    try {
      const disk = await around.readDatabase(file);
      if (disk === undefined) throw fault;
      around.say(liesIn(file));
      return disk;
    } catch (error) {
      throw error === fault ? error : unreadOf(error);
    }
  }

  function reading<A extends unknown[], T>(
    ofBus: (...args: A) => Promise<T>,
    ofDisk: (disk: OnDisk, ...args: A) => Promise<T>,
  ) {
    return async (...args: A): Promise<T> => {
      if (silence === undefined)
        try {
          return await ofBus(...args);
        } catch (error) {
          if (!(error instanceof Fault) || error.code !== 'unreachable') throw error;
          silence = error;
        }
      opened ??= open(silence);
      return ofDisk(await opened, ...args);
    };
  }

  return {
    ...client,
    events: reading(client.events, (disk, ...args) => disk.events(...args)),
    event: reading(client.event, (disk, ...args) => disk.event(...args)),
    pending: reading(client.pending, (disk, ...args) => disk.pending(...args)),
    inbox: reading(client.inbox, (disk, ...args) => disk.inbox(...args)),
    deadLetters: reading(client.deadLetters, (disk, ...args) => disk.deadLetters(...args)),
    subscriptions: reading(client.subscriptions, (disk, ...args) => disk.subscriptions(...args)),
    explain: reading(client.explain, (disk, ...args) => disk.explain(...args)),
    async shown(id, via) {
      if (silence !== undefined) throw silence;
      await client.shown(id, via);
    },
    async close() {
      const disk = await opened?.catch(() => undefined /* its failure was the command’s */);
      await disk?.close();
    },
  };
}

const liesIn = (place: string) => `The bus does not answer; this is what lies on disk in ${place}.`;

/** What keeps it from being read from disk, to a person who asked the bus. */
function unreadOf(error: unknown): unknown {
  if (!(error instanceof Fault)) return error;
  const { code, hint, cause } = error;
  return new Fault(code, `The bus does not answer, and on disk: ${error.message}`, { hint, cause });
}

/**
 * What a capability that only reads tells from disk, when no bus answers, and says so. Undefined where that cannot be: a bus was named,
 * or there is nothing to read.
 * @throws Fault what is wrong with what lies there
 */
export async function callFromDisk(
  door: Pick<Door, 'urlIsGiven' | 'toldFromDisk' | 'findHome' | 'home' | 'say'>,
  capability: Capability,
  args: JsonObject,
): Promise<JsonObject | undefined> {
  if (door.urlIsGiven || !capability.fromDisk) return undefined;
  const { value } = parseAs(capability.input, args, 'The call');
  try {
    const told = await door.toldFromDisk(capability, value as JsonObject, door.findHome(door.home).dir);
    if (told === undefined) return undefined;
    for (const line of [liesIn(told.from), ...told.notes]) door.say(line);
    return told.result;
  } catch (error) {
    throw unreadOf(error);
  }
}
