import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { type Clock, systemClock } from '../../../base/clock.ts';
import type { Draft } from '../../../events/draft.ts';
import type { CallSecretStore } from '../call-secrets.ts';
import { type DeliveryRules, usualDeliveryRules } from '../deliveries.ts';
import type { HeartbeatStore } from '../heartbeats.ts';
import type { Commit, NewLife, Restored, Store, StoreObserver } from '../store.ts';
import { outcomesIn } from './batch-text.ts';
import type { Command, Committed, WrittenBatch, WrittenDraft } from './commands.ts';
import { openDatabase } from './database.ts';
import { deliveryStoreOf } from './delivery-store.ts';
import { inPlaceOf } from './file-identity.ts';
import { type CommitBatch, groupCommit } from './group-commit.ts';
import { type Reader, readerOf } from './reader.ts';
import { faultOf, sqliteFault } from './sqlite-fault.ts';
import { type StartingPoint, startingPoint, writerOf } from './writer.ts';
import { startWriterThread, type WriterData } from './writer-thread.ts';

export type SqliteOptions = {
  /** The database file; its folder is made. `:memory:` only without `worker`. */
  file: string;
  /** The database's clock. A worker always uses the system's. */
  clock: Clock;
  /** Entry of the writer's thread. Without it the writer runs in this thread, which is what tests want. */
  worker?: URL;
  observer?: StoreObserver;
  rules?: DeliveryRules;
  /** The log was put back from a backup: it begins a new life before anything else happens, once for each note. */
  restored?: Restored | undefined;
};

/**
 * Opens the store on SQLite: one writer with group commit, and a connection of its own for reads, so that neither waits
 * for the other. Makes, migrates or takes over the file.
 * @throws Fault `damaged`, `newer-schema`, `unavailable`, `storage-full`
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const { file, clock, worker, observer, rules, restored } = options;
  const data = { file, rules: rules ?? usualDeliveryRules };
  const backend = worker ? await threaded(worker, data) : await inline(data, clock);
  const at = restored ? await newLife(backend, restored) : backend.at;
  return storeOn(file, { ...backend, at }, worker ? systemClock : clock, observer);
}

/** Where the store stands once the new life has begun. */
async function newLife({ at, commitBatch, close }: Backend, restored: Restored): Promise<StartingPoint> {
  const { outcomes, committed } = await commitBatch([{ op: 'begin-life', restored }]);
  const [outcome] = outcomes;
  if (outcome && 'value' in outcome)
    return { ...at, epoch: (outcome.value as NewLife).epoch, committed: committed ?? at.committed };
  await close();
  throw outcome ? faultOf(outcome.fault) : new Error('the writer did not say how a new life began');
}

type Backend = { at: StartingPoint; reader(epoch: string): Reader; commitBatch: CommitBatch; close(): Promise<void> };

async function threaded(worker: URL, data: WriterData): Promise<Backend> {
  const { at, commitBatch, close } = await startWriterThread(worker, data);
  const db = new DatabaseSync(data.file, { readOnly: true, timeout: 5000 });
  db.exec('PRAGMA cache_size = -32768');
  return {
    at,
    commitBatch,
    reader: (epoch) => readerOf(db, epoch),
    async close() {
      db.close();
      await close();
    },
  };
}

async function inline({ file, rules }: WriterData, clock: Clock): Promise<Backend> {
  const open = await openDatabase(file, clock);
  const writer = writerOf(open.db, clock, file, rules);
  return {
    at: startingPoint(open, writer),
    reader: (epoch) => readerOf(open.db, epoch),
    // Between two batches the others get their turn, as they would beside a thread.
    commitBatch: (commands) =>
      new Promise((resolve) =>
        setImmediate(() => {
          resolve(writer.commit(commands));
          writer.tidy();
        }),
      ),
    async close() {
      open.db.close();
    },
  };
}

function storeOn(
  file: string,
  { at, commitBatch, close, ...backend }: Backend,
  clock: Clock,
  observer?: StoreObserver,
): Store {
  const reader = backend.reader(at.epoch);
  let latest: Committed = at.committed;
  let closing: Promise<void> | undefined;
  const listeners = new Set<(commit: Commit) => void>();
  const queue = groupCommit(
    commitBatch,
    (committed) => {
      latest = committed;
      for (const listener of listeners) listener(committed);
    },
    observer,
  );
  const inPlace = inPlaceOf(file);
  const write = <T>(command: Command) => queue.run<T>(command);
  const read = async <T>(ask: (reader: Reader) => T): Promise<T> => {
    try {
      return ask(reader);
    } catch (error) {
      throw sqliteFault(error, file);
    }
  };
  return {
    epoch: at.epoch,
    notices: at.notices,
    publish: (draft) => write({ op: 'publish', draft: written(draft) }),
    async publishBatch(drafts, once = null) {
      const toWrite = drafts.map((draft) => draft && written(draft));
      const batch = await write<WrittenBatch>({ op: 'publish-batch', drafts: toWrite, once });
      return batch.kind === 'published' ? { ...batch, outcomes: outcomesIn(batch.outcomes) } : batch;
    },
    acknowledge: (id, agent) => write({ op: 'acknowledge', id, agent }),
    answer: (id, answer) => write({ op: 'answer', id, answer }),
    cancel: (id, by, via, reason, anybodys = false) => write({ op: 'cancel', id, by, via, reason, anybodys }),
    noteShown: (id, via) => write({ op: 'note-shown', id, via }),
    sweep: () => write({ op: 'sweep' }),
    ...deliveryStoreOf(write, read),
    addSubscription: (subscription, origin) => write({ op: 'add-subscription', subscription, origin }),
    changeSubscription: (id, change) => write({ op: 'change-subscription', id, change }),
    deleteSubscription: (id) => write({ op: 'delete-subscription', id }),
    event: (id) => read((r) => r.event(id)),
    events: (filter, page) => read((r) => r.events(filter, page)),
    inbox: (agent, unacknowledgedOnly, page) => read((r) => r.inbox(agent, unacknowledgedOnly, page)),
    pending: (page) => read((r) => r.pending(page)),
    subscriptions: (filter) => read((r) => r.subscriptions(filter)),
    explain: (action, requiresHuman) => read((r) => r.explain(action, requiresHuman)),
    stats: () =>
      read((r) => {
        const gone = inPlace();
        if (gone) throw gone;
        return {
          head: latest.head,
          openQuestions: latest.openQuestions,
          openDeliveries: latest.openDeliveries,
          waiting: queue.waiting(),
          deadLetters: latest.deadLetters,
          bytes: r.bytes() + (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0),
        };
      }),
    head: () => latest.head,
    readAfter: (after, limit, passes) => read((r) => r.readAfter(latest.head, after, limit, passes)),
    lookBack: (before, count, passes) => read((r) => r.lookBack(before, count, passes)),
    ...tokensOf(write, read),
    ...heartbeatsOf(write, read),
    ...callSecretsOf(write, read),
    ...auditOf(write, read, clock),
    onCommitted(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closing ??= queue.drain().then(close);
      return closing;
    },
  };
}

type Write = <T>(command: Command) => Promise<T>;
type Read = <T>(ask: (reader: Reader) => T) => Promise<T>;

function tokensOf(write: Write, read: Read) {
  return {
    token: (hash) => read((r) => r.token(hash)),
    tokenWithId: (id) => read((r) => r.tokenWithId(id)),
    noteTokenUsed: (id, at) => write({ op: 'note-token-used', id, at }),
    ownersTokenWasMade: () => read((r) => r.ownersTokenWasMade()),
    addOwnersToken: (token, hash) => write({ op: 'add-owners-token', token, hash }),
  } satisfies Partial<Store>;
}

function heartbeatsOf(write: Write, read: Read): HeartbeatStore {
  return {
    heartbeats: () => read((r) => r.heartbeats()),
    noteHeartbeat: (heartbeat) => write({ op: 'note-heartbeat', heartbeat }),
    noteAgentLost: (last) => write({ op: 'note-agent-lost', last }),
    owedTo: (agents) => read((r) => r.owedTo(agents)),
  };
}

function callSecretsOf(write: Write, read: Read): CallSecretStore {
  return {
    publishWithSecrets: (draft, secrets) => write({ op: 'publish-with-secrets', draft: written(draft), secrets }),
    keepSecrets: (secrets) => write({ op: 'keep-secrets', secrets }),
    secretsOf: (call) => read((r) => r.secretsOf(call)),
    keptSecrets: (limit, after) => read((r) => r.keptSecrets(limit, after)),
    dropSecrets: (call, side) => write({ op: 'drop-secrets', call, side }),
  };
}

function auditOf(write: Write, read: Read, clock: Clock) {
  return {
    chain: (after, limit) => read((r) => r.chain(after, limit)),
    addCheckpoint: (checkpoint) => write({ op: 'add-checkpoint', checkpoint }),
    checkpoints: (after, limit) => read((r) => r.checkpoints(after, limit)),
    chainEnd: () => read((r) => r.chainEnd()),
    noteAuditKey: (key) => write({ op: 'note-audit-key', key }),
    scanRetention: (rules, place) => read((r) => r.scanRetention(rules, clock(), place)),
    purge: (seqs) => write({ op: 'purge', seqs }),
  } satisfies Partial<Store>;
}

function written({ details, ...rest }: Draft): WrittenDraft {
  return { ...rest, details: details == null ? null : JSON.stringify(details) };
}
