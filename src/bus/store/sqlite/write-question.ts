import { rfc3339 } from '../../../base/clock.ts';
import type { JsonObject } from '../../../base/json.ts';
import type { Answer, Resolution } from '../../../events/answer.ts';
import { busActions, busAgent, type Status } from '../../../events/event.ts';
import { type Answered, type Cancelled, maxSweep, type Noted, type Swept } from '../store.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

type Row = {
  seq: number;
  id: string;
  source_agent: string;
  action: string;
  target: string | null;
  correlation_id: string | null;
  state: Resolution['state'] | 'open' | null;
  question: string | null;
  options: string | null;
  fallback: string | null;
  free_text: number;
  answerers: string | null;
  payload_hash: string | null;
  deadline: number | null;
  escalation: string | null;
  response: string | null;
  responded_by: string | null;
  responded_via: string | null;
  resolved_at: number | null;
  at: number;
};

type Rung = { after_minutes: number; notify: string[]; fired_at: string | null };

/** Who decides a question's end: one statement for each way, and only one of them can find it open. */
export type QuestionWriter = {
  answer(id: string, answer: Answer): Answered;
  cancel(id: string, by: string, via: string, reason: string | null, anybodys: boolean): Cancelled;
  noteShown(id: string, via: string): Noted;
  timeOut(seq: number): void;
  sweep(): QuestionsSwept;
};

export type QuestionsSwept = Pick<Swept, 'timedOut' | 'escalated' | 'nextDueAt'>;

const columns = `e.seq, e.id, e.at, f.source_agent, f.action, e.target, e.correlation_id, q.state, q.question, q.options,
  q.fallback, q.free_text, q.answerers, q.payload_hash, q.deadline, q.escalation, q.response, q.responded_by,
  q.responded_via, q.resolved_at`;
const joined = 'event_log e JOIN facets f USING (facet_id) LEFT JOIN questions q USING (seq)';

const statusOf: Record<Resolution['state'], Status> = {
  answered: 'completed',
  timed_out: 'timeout',
  cancelled: 'failed',
};
const actionOf: Record<Resolution['state'], string> = {
  answered: busActions.humanResponded,
  timed_out: busActions.humanTimedOut,
  cancelled: busActions.humanCancelled,
};

/** `events` is asked for late, because the writer of events in turn times out questions that are due at once. */
export function questionWriterOf(ledger: Ledger, events: () => EventWriter): QuestionWriter {
  const { db } = ledger;
  const byId = db.prepare(`SELECT ${columns} FROM ${joined} WHERE e.id = ?`);
  const bySeq = db.prepare(`SELECT ${columns} FROM ${joined} WHERE e.seq = ?`);
  const show = db.prepare(
    'UPDATE questions SET shown_at = coalesce(shown_at, ?), shown_via = coalesce(shown_via, ?) WHERE seq = ?',
  );

  const announce = announcerOf(events);
  const end = enderOf(ledger, announce);

  /** What a late comer is told. A deadline that has passed is applied here, so that it need not wait for the sweeper. */
  function resolutionAfter(row: Row): Resolution | undefined {
    if (row.state === 'open' && row.deadline !== null && row.deadline <= ledger.clock())
      return end(row, 'timed_out', null, 'timeout', { response: row.fallback });
    if (row.state === 'open' || row.state === null) return undefined;
    const { state, response, responded_by, responded_via, resolved_at } = row;
    return { state, response, responded_by, responded_via, resolved_at: rfc3339(resolved_at ?? row.at) };
  }

  const settle = (id: string): { row: Row } | { outcome: Settled } => {
    const row = byId.get(id) as Row | undefined;
    if (!row) return { outcome: { kind: 'unknown' } };
    if (row.state === null) return { outcome: { kind: 'asks-nothing' } };
    const resolution = resolutionAfter(row);
    return resolution ? { outcome: { kind: 'already-resolved', resolution } } : { row };
  };

  return {
    answer(id, answer) {
      const found = settle(id);
      if ('outcome' in found) return found.outcome;
      const refused = refusal(found.row, answer);
      if (refused) return refused;
      const resolution = end(found.row, 'answered', answer.responder, answer.via, {
        response: answer.response,
        shownHash: answer.payloadHash,
        reason: answer.reason ?? null,
        confirmedBy: answer.confirmedBy ?? null,
      });
      if (resolution) return { kind: 'answered', resolution };
      return late(settle(id));
    },
    cancel(id, by, via, reason, anybodys) {
      const found = settle(id);
      if ('outcome' in found) return found.outcome;
      if (by !== found.row.source_agent && !anybodys) return { kind: 'not-the-asker', asker: found.row.source_agent };
      const resolution = end(found.row, 'cancelled', by, via, { response: null, reason });
      if (resolution) return { kind: 'cancelled', resolution };
      return late(settle(id));
    },
    noteShown(id, via) {
      const row = byId.get(id) as Row | undefined;
      if (!row) return { kind: 'unknown' };
      if (row.state === null) return { kind: 'asks-nothing' };
      show.run(ledger.clock(), via, row.seq);
      return { kind: 'noted' };
    },
    timeOut(seq) {
      const row = bySeq.get(seq) as Row;
      end(row, 'timed_out', null, 'timeout', { response: row.fallback });
    },
    sweep: sweeperOf(ledger, end, (row, details, told) => announce(row, busActions.humanEscalated, details, told)),
  };
}

type Announce = (row: Row, action: string, details: JsonObject, told?: readonly string[]) => void;

/** Says something about a question, as an event that names it as its cause. */
function announcerOf(events: () => EventWriter): Announce {
  return (row, action, details, told) => {
    const about = { target: row.target, causation_id: row.id, correlation_id: row.correlation_id ?? row.id };
    events().announce({ source_agent: busAgent, action, details: JSON.stringify(details), ...about }, told);
  };
}

/** Ends a question, or returns undefined when it was not open or the clock forbids this end. */
type EndQuestion = (
  row: Row,
  state: Resolution['state'],
  by: string | null,
  via: string,
  said: End,
) => Resolution | undefined;

function enderOf(ledger: Ledger, announce: Announce): EndQuestion {
  const { db } = ledger;
  // The one place where a question ends. An answer or a cancellation needs now < deadline, a timeout now >= deadline.
  const resolve = db.prepare(
    `UPDATE questions SET state = ?1, response = ?2, responded_by = ?3, responded_via = ?4, resolved_at = ?5
     WHERE seq = ?6 AND state = 'open'
       AND CASE ?1 WHEN 'timed_out' THEN deadline <= ?5 ELSE deadline IS NULL OR deadline > ?5 END`,
  );

  return (row, state, by, via, said) => {
    const now = ledger.clock();
    if (resolve.run(state, said.response, by, via, now, row.seq).changes === 0) return undefined;
    ledger.setStatus(row.seq, statusOf[state]);
    ledger.committed.openQuestions -= 1;
    ledger.committed.resolved.push(row.id);
    const resolution: Resolution = {
      state,
      response: said.response,
      responded_by: by,
      responded_via: via,
      resolved_at: rfc3339(now),
    };
    const details: JsonObject = {
      event_id: row.id,
      asked_by: row.source_agent,
      action: row.action,
      question: row.question,
      deadline: row.deadline && rfc3339(row.deadline),
    };
    if (row.payload_hash !== null) {
      details.payload_hash = row.payload_hash;
      if (state === 'answered') details.answered_payload_hash = said.shownHash ?? null;
    }
    if (said.reason) details.reason = said.reason;
    if (said.confirmedBy) details.confirmed_by = said.confirmedBy;
    announce(row, actionOf[state], { ...details, ...resolution });
    return resolution;
  };
}

/** `shownHash`: the hash that came with the answer, which is the question's or none. */
type End = {
  response: string | null;
  reason?: string | null;
  shownHash?: string | null;
  confirmedBy?: string | null;
};
type Settled = { kind: 'unknown' } | { kind: 'asks-nothing' } | { kind: 'already-resolved'; resolution: Resolution };

/** The clock passed the deadline between two looks at it: the second look tells how the question ended. */
function late(found: { row: Row } | { outcome: Settled }): Settled {
  if ('outcome' in found) return found.outcome;
  throw new Error(`question ${found.row.id} is open but could not be resolved`);
}

/** Why this answer does not count, or undefined when it does. */
function refusal(row: Row, { response, responder, payloadHash, mayApprove }: Answer): Answered | undefined {
  if (row.payload_hash !== null && !mayApprove) return { kind: 'needs-approval' };
  const isAsker = responder.trim().toLowerCase() === row.source_agent.trim().toLowerCase();
  if (isAsker) return { kind: 'self-answer' };
  if (row.answerers !== null) {
    const told = rungsOf(row).flatMap((rung) => (rung.fired_at === null ? [] : rung.notify));
    const answerers = [...new Set([...(JSON.parse(row.answerers) as string[]), ...told])];
    if (!answerers.includes(responder)) return { kind: 'not-an-answerer', answerers };
  }
  if (payloadHash === null && row.payload_hash !== null) return { kind: 'payload-missing' };
  if (payloadHash !== null && payloadHash !== row.payload_hash) return { kind: 'payload-changed' };
  const options = row.options === null ? undefined : (JSON.parse(row.options) as string[]);
  if (options?.length && row.free_text === 0 && !options.includes(response)) return { kind: 'not-an-option', options };
  return undefined;
}

function rungsOf(row: Row): Rung[] {
  return row.escalation === null ? [] : (JSON.parse(row.escalation) as Rung[]);
}

function sweeperOf(
  ledger: Ledger,
  end: EndQuestion,
  escalate: (row: Row, details: JsonObject, told: readonly string[]) => void,
): () => QuestionsSwept {
  const { db } = ledger;
  const due = db.prepare(
    `SELECT ${columns} FROM questions q JOIN event_log e USING (seq) JOIN facets f USING (facet_id)
     WHERE q.state = 'open' AND coalesce(q.deadline, 9007199254740991) <= ?
     ORDER BY coalesce(q.deadline, 9007199254740991), q.seq LIMIT ${maxSweep}`,
  );
  const dueRungs = db.prepare(
    `SELECT ${columns} FROM questions q JOIN event_log e USING (seq) JOIN facets f USING (facet_id)
     WHERE q.state = 'open' AND q.next_rung_at IS NOT NULL AND q.next_rung_at <= ? ORDER BY q.next_rung_at LIMIT ${maxSweep}`,
  );
  const noteRungs = db.prepare('UPDATE questions SET escalation = ?, next_rung_at = ?, escalated_at = ? WHERE seq = ?');
  const next = db.prepare(
    `SELECT min(
       coalesce((SELECT coalesce(deadline, 9007199254740991) FROM questions WHERE state = 'open'
         ORDER BY coalesce(deadline, 9007199254740991) LIMIT 1), 9007199254740991),
       coalesce((SELECT next_rung_at FROM questions WHERE state = 'open' AND next_rung_at IS NOT NULL
         ORDER BY next_rung_at LIMIT 1), 9007199254740991)) AS at`,
  );

  function climb(row: Row, now: number): number {
    const rungs = rungsOf(row);
    const dueAt = (rung: Rung) => row.at + Math.round(rung.after_minutes * 60_000);
    const fired = rungs.filter((rung) => rung.fired_at === null && dueAt(rung) <= now);
    for (const rung of fired) {
      rung.fired_at = rfc3339(now);
      const { notify, after_minutes } = rung;
      const about = { event_id: row.id, asked_by: row.source_agent, action: row.action, question: row.question };
      escalate(row, { ...about, after_minutes, notify, deadline: row.deadline && rfc3339(row.deadline) }, notify);
    }
    const waiting = rungs.filter((rung) => rung.fired_at === null).map(dueAt);
    noteRungs.run(JSON.stringify(rungs), waiting.length ? Math.min(...waiting) : null, now, row.seq);
    return fired.length;
  }

  return () => {
    const now = ledger.clock();
    const late = due.all(now) as Row[];
    for (const row of late) end(row, 'timed_out', null, 'timeout', { response: row.fallback });
    let escalated = 0;
    for (const row of dueRungs.all(now) as Row[]) escalated += climb(row, now);
    const at = next.get()?.at as number;
    return { timedOut: late.length, escalated, nextDueAt: at === Number.MAX_SAFE_INTEGER ? null : at };
  };
}
