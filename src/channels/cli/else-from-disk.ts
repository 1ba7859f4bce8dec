import { Fault } from '../../base/fault.ts';
import type { Client } from '../../client/client.ts';
import type { OnDisk, Surroundings } from './door.ts';

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
      around.say(`The bus does not answer; this is what lies on disk in ${file}.`);
      return disk;
    } catch (error) {
      if (!(error instanceof Fault) || error === fault) throw error;
      const { code, hint, cause } = error;
      throw new Fault(code, `The bus does not answer, and on disk: ${error.message}`, { hint, cause });
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
