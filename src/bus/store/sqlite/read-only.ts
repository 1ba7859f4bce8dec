import { existsSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { Fault, reasonOf } from '../../../base/fault.ts';
import type { Store } from '../store.ts';
import { openCounts } from './counts.ts';
import { applicationId, foreign, latestSchema, newerSchema } from './database.ts';
import { openUntouched } from './inspect-file.ts';
import { readerOf } from './reader.ts';
import { sqliteFault } from './sqlite-fault.ts';
import { looksLikeFirst } from './takeover.ts';

/**
 * The store of a bus that does not run, for reading alone; also beside one that does. Neither the database nor its log is
 * changed, and none is made. Undefined when there is no database, or nothing in it yet.
 * @throws Fault `newer-schema`, `damaged` (also for a database of another program), `unavailable` when it cannot be read
 * or has to be brought up to date by a start first
 */
export function openReadOnlyStore(file: string): Store | undefined {
  // An empty file is not even opened: SQLite would remove a log that lies beside it.
  if (!existsSync(file) || statSync(file).size === 0) return undefined;
  let db: DatabaseSync | undefined;
  try {
    db = openUntouched(file);
    if (!requireOurs(db, file)) {
      db.close();
      return undefined;
    }
    return storeOn(db, file);
  } catch (error) {
    db?.close();
    throw readingFault(error, file);
  }
}

/**
 * Whether there is anything of ours in it.
 * @throws Fault as `openReadOnlyStore`
 */
export function requireOurs(db: DatabaseSync, file: string): boolean {
  const pragma = (name: string) => db.prepare(`PRAGMA ${name}`).get()?.[name] as number;
  const [owner, version, latest] = [pragma('application_id'), pragma('user_version'), latestSchema()];
  if (owner !== 0 && owner !== applicationId) throw foreign(file);
  if (version > latest) throw newerSchema(file, version, latest);
  if (version === latest) return true;
  if (version === 0 && !looksLikeFirst(db)) {
    if (db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined) throw foreign(file);
    return false;
  }
  const whose = version === 0 ? 'was made by the first implementation' : `has the older schema ${version}`;
  throw new Fault('unavailable', `${file} ${whose}, and is read only after the next start has taken it over.`, {
    hint: 'Start the bus: leveredge bus',
  });
}

function storeOn(db: DatabaseSync, file: string): Store {
  const epoch = db.prepare("SELECT value FROM bus_meta WHERE name = 'epoch'").get()?.value as string;
  const reader = readerOf(db, epoch);
  const read = async <T>(ask: () => T): Promise<T> => {
    try {
      return ask();
    } catch (error) {
      throw readingFault(error, file);
    }
  };
  const refuse = async () => {
    throw new Fault('unavailable', `Without the bus ${file} is only read.`, { hint: 'Start the bus: leveredge bus' });
  };
  return {
    epoch,
    notices: [],
    publish: refuse,
    publishBatch: refuse,
    acknowledge: refuse,
    answer: refuse,
    cancel: refuse,
    noteShown: refuse,
    sweep: refuse,
    claim: refuse,
    ack: refuse,
    nack: refuse,
    extend: refuse,
    release: refuse,
    redrive: refuse,
    redriveAll: refuse,
    discard: refuse,
    deadLetters: ({ agent }, page) => read(() => reader.deadLetters(agent, page)),
    deadLetterOf: (agent, event, because) => read(() => reader.deadLetterOf(agent, event, because)),
    addSubscription: refuse,
    changeSubscription: refuse,
    deleteSubscription: refuse,
    event: (id) => read(() => reader.event(id)),
    events: (filter, page) => read(() => reader.events(filter, page)),
    inbox: (agent, unacknowledgedOnly, page) => read(() => reader.inbox(agent, unacknowledgedOnly, page)),
    pending: (page) => read(() => reader.pending(page)),
    subscriptions: (filter) => read(() => reader.subscriptions(filter)),
    explain: (action, requiresHuman) => read(() => reader.explain(action, requiresHuman)),
    stats: () => read(() => ({ head: reader.head(), ...openCounts(db), bytes: reader.bytes(), waiting: 0 })),
    head: () => reader.head(),
    readAfter: (after, limit, passes) => read(() => reader.readAfter(reader.head(), after, limit, passes)),
    lookBack: (before, count, passes) => read(() => reader.lookBack(before, count, passes)),
    token: (hash) => read(() => reader.token(hash)),
    tokenWithId: (id) => read(() => reader.tokenWithId(id)),
    noteTokenUsed: refuse,
    ownersTokenWasMade: () => read(() => reader.ownersTokenWasMade()),
    addOwnersToken: refuse,
    publishWithSecrets: refuse,
    keepSecrets: refuse,
    secretsOf: (call) => read(() => reader.secretsOf(call)),
    keptSecrets: (limit, after) => read(() => reader.keptSecrets(limit, after)),
    dropSecrets: refuse,
    heartbeats: () => read(() => reader.heartbeats()),
    noteHeartbeat: refuse,
    noteAgentLost: refuse,
    owedTo: (agents) => read(() => reader.owedTo(agents)),
    chain: (after, limit) => read(() => reader.chain(after, limit)),
    addCheckpoint: refuse,
    checkpoints: (after, limit) => read(() => reader.checkpoints(after, limit)),
    chainEnd: () => read(() => reader.chainEnd()),
    noteAuditKey: refuse,
    scanRetention: refuse,
    purge: refuse,
    onCommitted: () => () => undefined,
    async close() {
      if (db.isOpen) db.close();
    },
  };
}

/** As the other errors of SQLite, in the words of someone who wanted to read. */
function readingFault(error: unknown, file: string): unknown {
  const fault = sqliteFault(error, file);
  if (fault === error || !(fault instanceof Fault) || fault.code === 'damaged') return fault;
  return new Fault('unavailable', `${file} cannot be read: ${reasonOf(error)}.`, {
    hint: `Look at who owns it and the folder it lies in: ls -la ${file}*`,
    cause: error,
  });
}
