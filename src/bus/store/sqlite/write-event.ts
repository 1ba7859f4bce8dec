import { isDeepStrictEqual } from 'node:util';
import { rfc3339 } from '../../../base/clock.ts';
import { maxDeliverAheadDays, questionFields } from '../../../events/draft.ts';
import type { Status } from '../../../events/event.ts';
import type { Hearer } from '../../../events/subscription.ts';
import { askedEscalation, type ChainedEvent, type ChainedQuestion, envelopeOf } from '../chain.ts';
import type { Published, Receipt } from '../store.ts';
import type { WrittenDraft } from './commands.ts';
import type { Audience } from './interning.ts';
import type { Ledger } from './ledger.ts';

const msPerMinute = 60_000;
const msPerDay = 86_400_000;

/** Stores events. One statement for each table, prepared once. */
export type EventWriter = {
  publish(draft: WrittenDraft): Published;
  /** Stores what the bus itself says. `told` hear it by tail beside the subscribers. */
  announce(draft: WrittenDraft, told?: readonly string[]): Receipt;
};

/** Called in the same transaction for a question that is due the moment it is asked. */
type WhenDueAtOnce = (seq: number) => void;

export function eventWriterOf(ledger: Ledger, whenDueAtOnce: WhenDueAtOnce): EventWriter {
  const { db, interning, committed } = ledger;
  const addEvent = db.prepare(
    `INSERT INTO event_log (seq, id, facet_id, at, target, details, source_workflow_id, source_execution_id,
       correlation_id, causation_id, traceparent, tags, deliver_at, hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const deliver = delivererOf(ledger);
  const storeQuestion = questionStorerOf(ledger, whenDueAtOnce);
  const earlier = earlierPublish(ledger);

  function store(draft: WrittenDraft, id: string, hearers: readonly Hearer[]): Receipt {
    const now = ledger.clock();
    const audience = interning.audience(hearers);
    const seq = ++committed.head;
    const status: Status = 'pending';
    const facet = interning.facet({
      source: draft.source_agent,
      action: draft.action,
      status,
      audienceId: audience.id,
    });
    const question = asksSomething(draft) ? askedOf(draft, now) : null;
    const event = eventOf(draft, seq, id, now, audience.hearers);
    const deliverAt = event.deliver_at;
    addEvent.run(
      seq,
      id,
      facet,
      now,
      event.target,
      event.details,
      event.source_workflow_id,
      event.source_execution_id,
      event.correlation_id,
      event.causation_id,
      event.traceparent,
      event.tags,
      deliverAt,
      ledger.chain.link(envelopeOf(event, question)),
    );
    if (audience.queues.length > 0) deliver(audience, seq, deliverAt !== null && deliverAt > now ? deliverAt : null);
    const deadline = question === null ? null : storeQuestion(question, seq, now);
    return {
      id,
      seq,
      timestamp: rfc3339(now),
      subscribedAgents: audience.agents,
      timeoutAt: deadline === null ? null : rfc3339(deadline),
    };
  }

  return {
    publish(draft) {
      if (draft.id != null) {
        const before = earlier(draft, draft.id);
        if (before) return before;
      }
      if (draft.deliver_at != null && isTooFarAhead(draft.deliver_at, ledger.clock())) return { kind: 'too-far-ahead' };
      const hearers = ledger.fanOut.hearers(draft.action, draft.requires_human === true);
      return { kind: 'stored', receipt: store(draft, draft.id ?? ledger.newId(), hearers) };
    },
    announce(draft, told = []) {
      const hearers = ledger.fanOut.hearers(draft.action, false);
      return store(draft, ledger.newId(), told.length ? withTold(hearers, told) : hearers);
    },
  };
}

function isTooFarAhead(deliverAt: string, now: number): boolean {
  return Date.parse(deliverAt) > now + maxDeliverAheadDays * msPerDay;
}

/** Owes the event to those who hear it by queue: now, or from `dueAt` on. */
function delivererOf(ledger: Ledger): (audience: Audience, seq: number, dueAt: number | null) => void {
  const { db, committed } = ledger;
  const addReady = db.prepare('INSERT INTO ready_deliveries (agent, priority, seq) VALUES (?, ?, ?)');
  const addDeferred = db.prepare('INSERT INTO deferred_deliveries (due_at, agent, seq, priority) VALUES (?, ?, ?, ?)');
  return (audience, seq, dueAt) => {
    committed.openDeliveries += audience.queues.length;
    if (dueAt === null) {
      for (const { agent, priority } of audience.queues) addReady.run(agent, priority, seq);
      ledger.noteReadyFor(audience);
    } else {
      for (const { agent, priority } of audience.queues) addDeferred.run(dueAt, agent, seq, priority);
      ledger.noteDue(dueAt);
    }
  };
}

/** Stores what a question adds to its event, and returns its deadline in milliseconds, or null for never. */
function questionStorerOf(
  ledger: Ledger,
  whenDueAtOnce: WhenDueAtOnce,
): (asked: Asked, seq: number, now: number) => number | null {
  const { db, committed } = ledger;
  const addQuestion = db.prepare(
    `INSERT INTO questions (seq, state, question, options, timeout_minutes, fallback, free_text, answerers,
       payload_hash, deadline, escalation, next_rung_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return ({ requiresHuman: open, deadline, rungs, ...asked }, seq, now) => {
    const stored = rungs?.map((rung) => ({ ...rung, fired_at: null }));
    const nextRung = open && rungs?.[0] ? now + Math.round(rungs[0].after_minutes * msPerMinute) : null;
    addQuestion.run(
      seq,
      open ? 'open' : null,
      asked.question,
      asked.options,
      asked.timeout_minutes,
      asked.fallback,
      asked.free_text,
      asked.answerers,
      asked.payload_hash,
      deadline,
      stored ? JSON.stringify(stored) : null,
      nextRung,
    );
    if (!open) return null;
    committed.openQuestions += 1;
    if (deadline !== null && deadline <= now) whenDueAtOnce(seq);
    else ledger.noteDue(Math.min(deadline ?? Infinity, nextRung ?? Infinity));
    return deadline;
  };
}

function eventOf(draft: WrittenDraft, seq: number, id: string, at: number, hearers: string): ChainedEvent {
  return {
    seq,
    id,
    at,
    source_agent: draft.source_agent,
    action: draft.action,
    target: draft.target ?? null,
    details: draft.details,
    source_workflow_id: draft.source_workflow_id ?? null,
    source_execution_id: draft.source_execution_id ?? null,
    correlation_id: draft.correlation_id ?? null,
    causation_id: draft.causation_id ?? null,
    traceparent: draft.traceparent ?? null,
    tags: draft.tags?.length ? JSON.stringify(draft.tags) : null,
    deliver_at: draft.deliver_at == null ? null : Date.parse(draft.deliver_at),
    hearers,
    first_created_at: null,
    first_updated_at: null,
  };
}

/** A question as it is stored and chained. */
type Asked = ChainedQuestion & { rungs: ReturnType<typeof sortedRungs> };

function askedOf(draft: WrittenDraft, now: number): Asked {
  const requiresHuman = draft.requires_human === true;
  const minutes = draft.human_timeout_minutes ?? null;
  const rungs = sortedRungs(draft);
  return {
    requiresHuman,
    question: draft.human_question ?? null,
    options: draft.human_options ? JSON.stringify(draft.human_options) : null,
    timeout_minutes: minutes,
    fallback: draft.human_fallback ?? null,
    free_text: draft.free_text ? 1 : 0,
    answerers: draft.answerers ? JSON.stringify(draft.answerers) : null,
    payload_hash: draft.payload_hash ?? null,
    deadline: requiresHuman && minutes !== null ? now + Math.round(minutes * msPerMinute) : null,
    escalation: rungs ? askedEscalation(rungs) : null,
    rungs,
  };
}

function sortedRungs({ escalation }: WrittenDraft) {
  return escalation ? escalation.toSorted((a, b) => a.after_minutes - b.after_minutes) : null;
}

/** The rungs as they were asked for, without when they fired. */
function askedRungs(stored: string | null): string {
  const rungs = JSON.parse(stored ?? 'null') as { after_minutes: number; notify: string[] }[] | null;
  return JSON.stringify(rungs?.map(({ after_minutes, notify }) => [after_minutes, notify]) ?? null);
}

/** The order of keys is no difference: a sender that builds its event anew after a crash may build it in another. */
function sameJson(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && isDeepStrictEqual(JSON.parse(a), JSON.parse(b));
}

function asksSomething(draft: WrittenDraft): boolean {
  return draft.requires_human === true || questionFields.some((field) => draft[field] != null);
}

function withTold(hearers: readonly Hearer[], told: readonly string[]): readonly Hearer[] {
  const known = new Set(hearers.map((h) => h.agent));
  const added = [...new Set(told)]
    .filter((agent) => !known.has(agent))
    .map<Hearer>((agent) => ({
      agent,
      priority: 1,
      mode: 'tail',
      pattern: '',
      subscription_id: '',
      heard_as: '',
      also: [],
    }));
  return [...added, ...hearers];
}

/** Looks for an event of this id: the same one sent again, or another that has the id already. */
function earlierPublish({ db }: Ledger): (draft: WrittenDraft, id: string) => Published | undefined {
  const find = db.prepare(
    `SELECT e.seq, e.at, e.target, e.details, e.source_workflow_id, e.source_execution_id, e.correlation_id,
       e.causation_id, e.traceparent, e.tags, e.deliver_at, f.source_agent, f.action, a.agents, q.state, q.question, q.options, q.timeout_minutes,
       q.fallback, q.free_text, q.answerers, q.payload_hash, q.deadline, q.escalation
     FROM event_log e JOIN facets f USING (facet_id) JOIN audiences a USING (audience_id) LEFT JOIN questions q USING (seq)
     WHERE e.id = ?`,
  );
  return (draft, id) => {
    const row = find.get(id);
    if (!row) return undefined;
    const sent = [
      [row.source_agent, draft.source_agent],
      [row.action, draft.action],
      [row.target, draft.target],
      [row.source_workflow_id, draft.source_workflow_id],
      [row.source_execution_id, draft.source_execution_id],
      [row.correlation_id, draft.correlation_id],
      [row.causation_id, draft.causation_id],
      [row.traceparent, draft.traceparent],
      [row.tags, draft.tags?.length ? JSON.stringify(draft.tags) : null],
      [row.deliver_at, draft.deliver_at == null ? null : Date.parse(draft.deliver_at)],
      [(row.state ?? null) !== null, draft.requires_human === true],
      [row.question, draft.human_question],
      [row.options, draft.human_options ? JSON.stringify(draft.human_options) : null],
      [row.timeout_minutes, draft.human_timeout_minutes],
      [row.fallback, draft.human_fallback],
      [row.payload_hash, draft.payload_hash],
      [row.free_text === 1, draft.free_text === true],
      [row.answerers, draft.answerers ? JSON.stringify(draft.answerers) : null],
      [askedRungs(row.escalation as string | null), askedRungs(JSON.stringify(sortedRungs(draft) ?? null))],
    ];
    const isSame = sent.every(([stored, now]) => (stored ?? null) === (now ?? null));
    if (!isSame || !sameJson(row.details as string | null, draft.details))
      return { kind: 'id-taken', by: row.source_agent as string };
    return {
      kind: 'duplicate',
      receipt: {
        id,
        seq: row.seq as number,
        timestamp: rfc3339(row.at as number),
        subscribedAgents: JSON.parse(row.agents as string),
        timeoutAt: row.deadline == null ? null : rfc3339(row.deadline as number),
      },
    };
  };
}
