import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../../base/clock.ts';
import { type DeliveryRules, usualDeliveryRules } from '../deliveries.ts';
import type { Swept } from '../store.ts';
import { type CallSecretWriter, callSecretWriterOf } from './call-secret-rows.ts';
import { checkpointerOf } from './checkpoint.ts';
import type { BatchResult, Command, Committed, Outcome } from './commands.ts';
import type { OpenDatabase } from './database.ts';
import { deadLettersOf } from './dead-letters.ts';
import { deliveryRowsOf } from './delivery-rows.ts';
import { inPlaceOf } from './file-identity.ts';
import { type Ledger, ledgerOf } from './ledger.ts';
import { faultData, sqliteFault, strikesEveryone } from './sqlite-fault.ts';
import { type DeliverySweep, deliverySweepOf } from './sweep-deliveries.ts';
import { addOwnersToken, noteTokenUsed } from './token-rows.ts';
import { acknowledgerOf } from './write-acknowledgement.ts';
import { batchPublisherOf, keptOutcomesOf } from './write-batch.ts';
import { checkpointAdderOf, keyNoterOf } from './write-checkpoint.ts';
import { type DeliveryWriter, delivererOf, deliveryWriterOf } from './write-delivery.ts';
import { type EventWriter, eventWriterOf } from './write-event.ts';
import { heartbeatWriterOf } from './write-heartbeat.ts';
import { lifeBeginnerOf } from './write-new-life.ts';
import { purgerOf } from './write-purge.ts';
import { type QuestionsSwept, type QuestionWriter, questionWriterOf } from './write-question.ts';
import { addSubscription, changeSubscription, deleteSubscription } from './write-subscription.ts';

/** The only one who writes. */
export type Writer = {
  /**
   * Runs the commands in one transaction and returns once it is on disk (`synchronous=FULL`). A command that fails takes
   * no neighbour with it: the batch is rolled back and each command tried alone.
   */
  commit(commands: readonly Command[]): BatchResult;
  /** Checkpoints if it is time. Call it when a batch has been answered: nobody should wait for it with an answer. */
  tidy(): void;
  /** Head and counts as they stand. */
  current(): Committed;
};

export function writerOf(
  db: DatabaseSync,
  clock: Clock,
  file: string,
  rules: DeliveryRules = usualDeliveryRules,
): Writer {
  const ledger = ledgerOf(db, clock);
  const run = runnerOf(ledger, rules);
  const inPlace = inPlaceOf(file);
  const begin = db.prepare('BEGIN IMMEDIATE');
  const end = db.prepare('COMMIT');
  const noteHead = db.prepare("UPDATE bus_meta SET value = ? WHERE name = 'head' AND value <> ?1");

  function transact(commands: readonly Command[]): BatchResult {
    try {
      begin.run();
      ledger.begin();
      const outcomes = commands.map<Outcome>((command) => ({ value: run(command) }));
      noteHead.run(ledger.committed.head);
      end.run();
      return { outcomes, committed: { ...ledger.committed, readyFor: ledger.readyFor() } };
    } catch (error) {
      rollBack();
      throw error;
    }
  }

  function rollBack(): void {
    // SQLite has rolled back by itself after some errors (a full disk, for one).
    if (db.isTransaction) db.exec('ROLLBACK');
    ledger.reload();
  }

  function alone(command: Command): BatchResult {
    try {
      return transact([command]);
    } catch (error) {
      return failed([command], error);
    }
  }

  function failed(commands: readonly Command[], error: unknown): BatchResult {
    const fault = faultData(sqliteFault(error, file));
    return { outcomes: commands.map(() => ({ fault })), committed: undefined };
  }

  return {
    current: () => ({ ...ledger.committed }),
    tidy: checkpointerOf(db),
    commit(commands) {
      const gone = inPlace();
      if (gone) return failed(commands, gone);
      try {
        return transact(commands);
      } catch (error) {
        if (commands.length === 1 || strikesEveryone(error)) return failed(commands, error);
        return joined(commands.map(alone));
      }
    },
  };
}

function joined(results: readonly BatchResult[]): BatchResult {
  const commits = results.flatMap((r) => r.committed ?? []);
  const last = commits.at(-1);
  const dues = commits.flatMap((c) => c.dueAt ?? []);
  const committed = last && {
    ...last,
    resolved: commits.flatMap((c) => c.resolved),
    readyFor: [...new Set(commits.flatMap((c) => c.readyFor))],
    endedLeases: commits.flatMap((c) => c.endedLeases),
    dueAt: dues.length ? Math.min(...dues) : null,
  };
  return { outcomes: results.flatMap((r) => r.outcomes), committed };
}

function runnerOf(ledger: Ledger, rules: DeliveryRules): (command: Command) => unknown {
  const events: EventWriter = eventWriterOf(ledger, (seq) => questions.timeOut(seq));
  const questions: QuestionWriter = questionWriterOf(ledger, () => events);
  const rows = deliveryRowsOf(ledger);
  const acknowledger = acknowledgerOf(ledger, rows);
  const dead = deadLettersOf(ledger, rows, () => events);
  const deliveries: DeliveryWriter = deliveryWriterOf(ledger, { rows, dead, acknowledger, rules }, (now) =>
    due.applyDue(now),
  );
  const due: DeliverySweep = deliverySweepOf(ledger, {
    ...{ rows, dead, rules, expire: deliveries.expire, events: () => events },
  });
  const deliver = delivererOf(deliveries, dead);
  const kept = keptOutcomesOf(ledger);
  const publishBatch = batchPublisherOf(events, kept);
  const addCheckpoint = checkpointAdderOf(ledger);
  const noteKey = keyNoterOf(ledger, events);
  const beginLife = lifeBeginnerOf(ledger, events);
  const purge = purgerOf(ledger, rows, events);
  const heartbeats = heartbeatWriterOf(ledger, events);
  const secrets: CallSecretWriter = callSecretWriterOf(ledger.db);
  return (command) => {
    switch (command.op) {
      case 'publish':
        return events.publish(command.draft);
      case 'publish-with-secrets': {
        const published = events.publish(command.draft);
        if (published.kind === 'stored') secrets.keep(command.secrets);
        return published;
      }
      case 'keep-secrets':
        return secrets.keep(command.secrets);
      case 'drop-secrets':
        return secrets.drop(command.call, command.side);
      case 'publish-batch':
        return publishBatch(command.drafts, command.once);
      case 'acknowledge':
        return acknowledger.acknowledge(command.id, command.agent);
      case 'answer':
        return questions.answer(command.id, command.answer);
      case 'cancel':
        return questions.cancel(command.id, command.by, command.via, command.reason, command.anybodys);
      case 'note-shown':
        return questions.noteShown(command.id, command.via);
      case 'sweep':
        return { ...joinedSweep(questions.sweep(), due.sweep()), forgotten: kept.forget() };
      case 'add-subscription':
        return addSubscription(ledger, command.subscription, command.origin);
      case 'change-subscription':
        return changeSubscription(ledger, command.id, command.change);
      case 'delete-subscription':
        return deleteSubscription(ledger, command.id);
      case 'add-checkpoint':
        return addCheckpoint(command.checkpoint);
      case 'note-audit-key':
        return noteKey(command.key);
      case 'begin-life':
        return beginLife(command.restored);
      case 'purge':
        return purge(command.seqs);
      case 'note-heartbeat':
        return heartbeats.note(command.heartbeat);
      case 'note-agent-lost':
        return heartbeats.noteLost(command.last);
      case 'note-token-used':
        return noteTokenUsed(ledger.db, command.id, command.at);
      case 'add-owners-token':
        return addOwnersToken(ledger.db, command.token, command.hash);
      default:
        return deliver(command);
    }
  };
}

function joinedSweep(
  questions: QuestionsSwept,
  deliveries: ReturnType<DeliverySweep['sweep']>,
): Omit<Swept, 'forgotten'> {
  const times = [questions.nextDueAt, deliveries.nextDueAt].filter((at) => at !== null);
  return { ...questions, ...deliveries, nextDueAt: times.length > 0 ? Math.min(...times) : null };
}

/** What the rest of the store needs to know about a database that was just opened. */
export type StartingPoint = { epoch: string; notices: string[]; committed: Committed };

export function startingPoint({ epoch, notices }: OpenDatabase, { current }: Writer): StartingPoint {
  return { epoch, notices, committed: current() };
}
