import { existsSync } from 'node:fs';
import { backup, type DatabaseSync } from 'node:sqlite';
import { type Clock, rfc3339 } from '../../../base/clock.ts';
import type { Json } from '../../../base/json.ts';
import { uuidV7Maker } from '../../../base/uuid-v7.ts';
import { maxTimeoutMinutes } from '../../../events/draft.ts';
import { type Status, statuses } from '../../../events/event.ts';
import type { Hearer } from '../../../events/subscription.ts';
import { firstJson, firstTime } from './first-values.ts';
import { type Interning, interningOf } from './interning.ts';
import { takeOverSubscriptions } from './takeover-subscriptions.ts';

/** A row of the first implementation's table, in which any column may hold anything. */
type FirstEvent = Record<string, unknown>;

/** Pages copied at a time: all of them, since nobody else writes. */
const allPages = 2e9;

/** Whether this is a database of the first implementation: a table (not our view) of that name with those columns. */
export function looksLikeFirst(db: DatabaseSync): boolean {
  const columns = db
    .prepare(
      "SELECT p.name FROM sqlite_schema s, pragma_table_info(s.name) p WHERE s.type = 'table' AND s.name = 'events'",
    )
    .all();
  const names = new Set(columns.map((c) => c.name));
  return ['id', 'timestamp', 'source_agent', 'action', 'acknowledged_by', 'status'].every((name) => names.has(name));
}

/**
 * Copies a database of the first implementation aside, byte for byte in its rows, and returns the copy's name.
 * Call it before the transaction that carries over: SQLite copies no database with an open transaction on it.
 */
export async function copyAside(db: DatabaseSync, file: string, clock: Clock): Promise<string> {
  const aside = freeName(`${file}.first-${rfc3339(clock()).slice(0, 10)}`);
  await backup(db, aside, { rate: allPages });
  return aside;
}

/**
 * Carries a database of the first implementation over, inside the caller's exclusive transaction: moves its tables out of
 * the way, makes ours (`migrate`) and brings every row. The owner's own tables and views stay; one whose name we need is
 * renamed.
 * What was heard but not acknowledged stays in the inboxes, as tail: history is to be read, not to be worked off again.
 * @returns sentences for the owner.
 */
export function carryOver(db: DatabaseSync, clock: Clock, ourNames: readonly string[], migrate: () => void): string[] {
  // Without this a rename would rewrite the owner's views on events to the table that is dropped below, and stumble over
  // views that are broken already.
  db.exec('PRAGMA legacy_alter_table = ON');
  if (isA(db, 'view', 'pending_human_requests')) db.exec('DROP VIEW pending_human_requests');
  if (isA(db, 'view', 'recent_events')) db.exec('DROP VIEW recent_events');
  db.exec('ALTER TABLE events RENAME TO first_events');
  const hadSubscriptions = isA(db, 'table', 'agent_subscriptions');
  if (hadSubscriptions) db.exec('ALTER TABLE agent_subscriptions RENAME TO first_subscriptions');
  const renamed = ourNames.filter((name) => isA(db, 'table', name));
  for (const name of renamed) db.exec(`ALTER TABLE ${name} RENAME TO own_${name}`);
  migrate();
  const subscriptions = hadSubscriptions ? takeOverSubscriptions(db, clock) : 'There were no subscriptions.';
  const events = takeOverEvents(db, clock);
  db.exec('DROP TABLE first_events; DROP TABLE IF EXISTS first_subscriptions; PRAGMA legacy_alter_table = OFF');
  const said = [`Took over ${events} events of the first implementation. ${subscriptions}`];
  if (renamed.length) said.push(`Your own tables ${renamed.join(', ')} are now called own_${renamed.join(', own_')}.`);
  return said;
}

function freeName(wanted: string): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}-${n}`;
    if (!existsSync(name)) return name;
  }
}

function isA(db: DatabaseSync, type: 'table' | 'view', name: string): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema WHERE type = ? AND name = ?').get(type, name) !== undefined;
}

/** The columns that are carried over; a database need not have all of them, and what else it has stays in the copy. */
const columns = [
  ...['id', 'timestamp', 'source_agent', 'source_workflow_id', 'source_execution_id', 'action', 'target', 'details'],
  ...['requires_human', 'human_question', 'human_options', 'human_timeout_minutes', 'human_fallback', 'human_response'],
  ...[
    'human_responded_at',
    'human_notified',
    'subscribed_agents',
    'acknowledged_by',
    'status',
    'created_at',
    'updated_at',
  ],
];

function takeOverEvents(db: DatabaseSync, clock: Clock): number {
  const store = eventStoring(db, clock);
  const there = new Set(
    db
      .prepare("SELECT name FROM pragma_table_info('first_events')")
      .all()
      .map((c) => c.name),
  );
  const isRowless = db.prepare("SELECT wr FROM pragma_table_list WHERE name = 'first_events'").get()?.wr === 1;
  // Its times have whole seconds; the rowid keeps the order within one.
  const select = db.prepare(
    `SELECT ${columns.filter((name) => there.has(name)).join(', ')} FROM first_events
     ORDER BY timestamp, ${isRowless ? 'id' : 'rowid'}`,
  );
  select.setReadBigInts(true);
  const rows = select.iterate();
  let seq = 0;
  for (const row of rows) store.event(row, ++seq);
  store.flushRuns();
  db.prepare("UPDATE bus_meta SET value = ? WHERE name = 'head'").run(seq);
  return seq;
}

function eventStoring(db: DatabaseSync, clock: Clock) {
  const interning = interningOf(db);
  const audienceOf = audiencesBy(interning);
  const newId = uuidV7Maker(clock);
  const addEvent = db.prepare(
    `INSERT INTO event_log (seq, id, facet_id, at, target, details, source_workflow_id, source_execution_id,
       first_created_at, first_updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addAcknowledgement = db.prepare('INSERT INTO acknowledgements (seq, agent, at) VALUES (?, ?, ?)');
  const addRun = db.prepare('INSERT INTO tail_runs (agent, to_seq, from_seq) VALUES (?, ?, ?)');
  const addQuestion = questionStoring(db);
  const runs = new Map<string, { from: number; to: number }>();
  const endRun = (agent: string) => {
    const run = runs.get(agent);
    if (run) addRun.run(agent, run.to, run.from);
    runs.delete(agent);
  };

  return {
    event(row: FirstEvent, seq: number): void {
      const at = firstTime(row.timestamp) ?? firstTime(row.created_at) ?? clock();
      const agents = namesOf(row.subscribed_agents);
      const status = statuses.includes(row.status as Status) ? (row.status as Status) : 'pending';
      const source = String(row.source_agent);
      const audienceId = audienceOf(agents).id;
      const facet = interning.facet({ source, action: String(row.action), status, audienceId });
      const id = row.id == null || row.id === '' ? newId() : String(row.id);
      const workflow = textOf(row.source_workflow_id);
      const execution = textOf(row.source_execution_id);
      const [target, details] = [textOf(row.target), detailsOf(row.details)];
      const [createdAt, updatedAt] = [firstTime(row.created_at) ?? null, firstTime(row.updated_at) ?? null];
      addEvent.run(seq, id, facet, at, target, details, workflow, execution, createdAt, updatedAt);
      addQuestion(row, seq, at, status);
      const acknowledged = new Map(acknowledgementsOf(row.acknowledged_by, at));
      for (const [agent, time] of acknowledged) addAcknowledgement.run(seq, agent, time);
      for (const agent of agents) {
        const run = runs.get(agent);
        if (!acknowledged.has(agent)) endRun(agent);
        else if (run) run.to = seq;
        else runs.set(agent, { from: seq, to: seq });
      }
    },
    flushRuns(): void {
      for (const agent of [...runs.keys()]) endRun(agent);
    },
  };
}

function audiencesBy(interning: Interning) {
  const known = new Map<string, readonly Hearer[]>();
  return (agents: readonly string[]) => {
    const key = agents.join('\0');
    let hearers = known.get(key);
    if (!hearers) {
      const blank = { priority: 5, mode: 'tail' as const, pattern: '', subscription_id: '', heard_as: '', also: [] };
      hearers = agents.map((agent) => ({ agent, ...blank }));
      known.set(key, hearers);
    }
    return interning.audience(hearers);
  };
}

/** A question keeps its answer; one that is still open keeps its deadline, which the next sweep applies. */
function questionStoring(db: DatabaseSync) {
  const add = db.prepare(
    `INSERT INTO questions (seq, state, question, options, timeout_minutes, fallback, free_text, deadline, shown_at,
       response, responded_by, responded_via, resolved_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)`,
  );
  const stateBy: Partial<Record<Status, string>> = { completed: 'answered', timeout: 'timed_out', failed: 'cancelled' };
  return (row: FirstEvent, seq: number, at: number, status: Status): void => {
    const asks = Boolean(row.requires_human) && row.requires_human !== '0';
    const fields = [
      row.human_question,
      row.human_options,
      row.human_timeout_minutes,
      row.human_fallback,
      row.human_response,
    ];
    if (!asks && fields.every((value) => value == null)) return;
    const response = textOf(row.human_response);
    const state = !asks ? null : response !== null ? 'answered' : (stateBy[status] ?? 'open');
    const minutes = minutesOf(row.human_timeout_minutes);
    const deadline = asks && minutes !== null ? at + Math.round(minutes * 60_000) : null;
    const isOver = state !== null && state !== 'open';
    const resolvedAt = isOver ? (firstTime(row.human_responded_at) ?? firstTime(row.updated_at) ?? at) : null;
    const named = namesOf(row.human_options);
    const options = named.length ? JSON.stringify(named) : null;
    const shownAt = row.human_notified ? at : null;
    // Whoever answered was not recorded.
    const by = state === 'answered' ? 'human' : null;
    const question = textOf(row.human_question);
    const fallback = textOf(row.human_fallback);
    add.run(seq, state, question, options, minutes, fallback, deadline, shownAt, response, by, null, resolvedAt);
  };
}

/** Minutes within the bounds of a publish; what lies outside never worked, and waits for ever. */
function minutesOf(value: unknown): number | null {
  const minutes = value == null || value === '' ? Number.NaN : Number(value);
  return minutes >= 0 && minutes <= maxTimeoutMinutes ? minutes : null;
}

function textOf(value: unknown): string | null {
  return value == null ? null : String(value);
}

/** Details as JSON text. What the first implementation stored but no reader could parse (NaN) is kept as text. */
function detailsOf(value: unknown): string | null {
  if (value == null) return null;
  const parsed = firstJson(value);
  if (parsed === undefined) return JSON.stringify({ unparsed: String(value) });
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  return JSON.stringify(isObject ? parsed : { value: parsed });
}

function namesOf(value: unknown): string[] {
  const parsed: Json | undefined = value == null ? [] : firstJson(value);
  if (!Array.isArray(parsed)) return [];
  return [...new Set(parsed.filter((name) => typeof name === 'string'))];
}

function acknowledgementsOf(value: unknown, at: number): [agent: string, time: number][] {
  const parsed = value == null ? undefined : firstJson(value);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return [];
  return Object.entries(parsed).map(([agent, time]) => [agent, firstTime(time) ?? at]);
}
