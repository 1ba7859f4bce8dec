import type { DatabaseSync } from 'node:sqlite';
import { askedEscalation, type ChainedEvent, type ChainedQuestion, chained, envelopeOf, noHash } from '../chain.ts';
import type { ChainLink } from '../verify-chain.ts';

/** A number that node:sqlite would refuse to read, because no double holds it, as the nearest one that it reads. */
export function readable(column: string): string {
  return `min(max(${column}, ${Number.MIN_SAFE_INTEGER}), ${Number.MAX_SAFE_INTEGER})`;
}

/** All that the chain speaks for, in one row. What is missing elsewhere is null, so that no event falls out of a join. */
function select(db: DatabaseSync): string {
  const has = db.prepare("SELECT 1 FROM pragma_table_info('event_log') WHERE name = 'deliver_at'").get() !== undefined;
  return `SELECT ${readable('e.seq')} AS seq, lower(hex(e.hash)) AS hash, e.id, ${readable('e.at')} AS at, f.source_agent, f.action, e.target, e.details,
    e.source_workflow_id, e.source_execution_id, e.correlation_id, e.causation_id, e.traceparent, e.tags,
    ${has ? readable('e.deliver_at') : 'NULL'} AS deliver_at, a.hearers, a.agents,
    ${readable('e.first_created_at')} AS first_created_at, ${readable('e.first_updated_at')} AS first_updated_at,
    ${readable('q.seq')} AS asks, q.state, q.question, q.options, q.timeout_minutes, q.fallback,
    ${readable('q.free_text')} AS free_text, q.answerers, q.payload_hash, ${readable('q.deadline')} AS deadline, q.escalation
  FROM event_log e LEFT JOIN facets f USING (facet_id) LEFT JOIN audiences a USING (audience_id)
  LEFT JOIN questions q ON q.seq = e.seq`;
}

type Row = ChainedEvent & { hash: string; agents: string; asks: number | null; state: string | null } & Omit<
    ChainedQuestion,
    'requiresHuman'
  >;

/** The envelope of a row that holds what the bus writes. */
function envelope(row: Row): string {
  const { asks, state, escalation } = row;
  if (asks === null) return envelopeOf(row, null);
  const asked = escalation === null ? null : askedEscalation(JSON.parse(escalation));
  return envelopeOf(row, { ...row, requiresHuman: state !== null, escalation: asked });
}

/** How many rows are chained at a time when an older database is brought up to date. */
const chainedAtOnce = 5000;

/** Chains every event there is, from the first one, inside the caller's transaction. Returns how many. */
export function chainAll(db: DatabaseSync): number {
  const some = db.prepare(`${select(db)} WHERE e.seq > ? ORDER BY e.seq LIMIT ${chainedAtOnce}`);
  const put = db.prepare('UPDATE event_log SET hash = ? WHERE seq = ?');
  let previous = noHash;
  let count = 0;
  for (let seq = 0; ; ) {
    const rows = some.all(seq) as Row[];
    for (const row of rows) {
      previous = chained(previous, envelope(row));
      put.run(Buffer.from(previous, 'hex'), row.seq);
    }
    count += rows.length;
    if (rows.length < chainedAtOnce) return count;
    seq = (rows.at(-1) as Row).seq;
  }
}

/** The links of the chain after a seq, in order, read as they are asked for. */
export function linksOf(db: DatabaseSync): (after: number) => Generator<ChainLink> {
  const rows = db.prepare(`${select(db)} WHERE e.seq > ? ORDER BY e.seq`);
  const runs = db.prepare(
    `SELECT ${readable('from_seq')} AS from_seq, ${readable('to_seq')} AS to_seq, lower(hex(hash)) AS hash
     FROM purged_runs WHERE from_seq > ? ORDER BY purged_runs.from_seq`,
  );
  const genuine = genuineOf(db);

  return function* (after) {
    const purged = runs.iterate(after) as Iterator<{ from_seq: number; to_seq: number; hash: string }>;
    try {
      let run = purged.next();
      for (const row of rows.iterate(after) as Iterable<Row>) {
        for (; !run.done && run.value.from_seq <= row.seq; run = purged.next()) yield toRun(run.value);
        const hash = row.hash === '' ? null : row.hash;
        yield { kind: 'event', seq: row.seq, hash, envelope: genuine(row) };
      }
      for (; !run.done; run = purged.next()) yield toRun(run.value);
    } finally {
      // One that is left half way would hold on to how the database was then.
      purged.return?.();
    }
  };
}

function toRun({ from_seq, to_seq, hash }: { from_seq: number; to_seq: number; hash: string }): ChainLink {
  const isRun = Number.isSafeInteger(to_seq) && to_seq >= from_seq;
  // The bus writes no such run, so nothing follows it.
  return isRun
    ? { kind: 'purged', from: from_seq, to: to_seq, hash }
    : { kind: 'purged', from: from_seq, to: from_seq, hash: '' };
}

/**
 * The envelope of a row, or null where it holds what the bus never writes: a text in place of a number, a list that is
 * no plain JSON, bytes that are no UTF-8. Such a row could be put together so that its envelope is that of another.
 */
function genuineOf(db: DatabaseSync): (row: Row) => string | null {
  const bytes = db.prepare(
    `SELECT ${[...texts.map((name) => `CAST(${place(name)} AS BLOB) AS ${name}`)].join(', ')}
     FROM event_log e LEFT JOIN facets f USING (facet_id) LEFT JOIN audiences a USING (audience_id)
     LEFT JOIN questions q USING (seq) WHERE e.seq = ?`,
  );
  const isAudience = audienceCheck();
  const isUtf8 = (row: Row) => {
    const found = bytes.get(row.seq) as Record<string, Uint8Array | null> | undefined;
    return texts.every((name) => row[name] === null || Buffer.from(row[name]).equals(found?.[name] ?? noBytes));
  };
  return (row) => {
    if (!texts.every((name) => row[name] === null || typeof row[name] === 'string')) return null;
    if (!numbers.every((name) => row[name] === null || typeof row[name] === 'number')) return null;
    if (row.source_agent === null || row.action === null || !isAudience(row.hearers, row.agents)) return null;
    if (!isList(row.tags)) return null;
    if (row.asks !== null && !(isList(row.options) && isList(row.answerers) && isEscalation(row.escalation)))
      return null;
    const text = envelope(row);
    const mayBeNoUtf8 = text.includes('\ufffd') || row.details?.includes('\ufffd');
    return mayBeNoUtf8 && !isUtf8(row) ? null : text;
  };
}

const noBytes = new Uint8Array();

const texts = [
  ...(['id', 'source_agent', 'action', 'target', 'details', 'source_workflow_id', 'source_execution_id'] as const),
  ...(['correlation_id', 'causation_id', 'traceparent', 'tags', 'hearers', 'question', 'options'] as const),
  ...(['fallback', 'answerers', 'payload_hash', 'escalation'] as const),
];
const numbers = [
  ...([
    'at',
    'deliver_at',
    'first_created_at',
    'first_updated_at',
    'timeout_minutes',
    'free_text',
    'deadline',
  ] as const),
];
const ofFacet = ['source_agent', 'action'];
const ofQuestion = ['question', 'options', 'fallback', 'answerers', 'payload_hash', 'escalation'];

function place(name: (typeof texts)[number]): string {
  if (name === 'hearers') return 'a.hearers';
  return `${ofFacet.includes(name) ? 'f' : ofQuestion.includes(name) ? 'q' : 'e'}.${name}`;
}

/** Whether it is a JSON list just as the bus writes one. */
function isList(text: string | null): boolean {
  if (text === null) return true;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && JSON.stringify(value) === text;
  } catch {
    return false; // No JSON at all.
  }
}

const ofRung = ['after_minutes', 'notify', 'fired_at'];

function isEscalation(text: string | null): boolean {
  if (text === null) return true;
  if (!isList(text)) return false;
  return (JSON.parse(text) as unknown[]).every(
    (rung) =>
      typeof rung === 'object' &&
      rung !== null &&
      Object.keys(rung).every((key) => ofRung.includes(key)) &&
      Array.isArray((rung as { notify?: unknown }).notify),
  );
}

/** Thousands of events share one audience, so each is looked at once. Emptied, not grown, beyond this. */
const maxRemembered = 5000;

function audienceCheck(): (hearers: string, agents: string) => boolean {
  const known = new Map<string, string | undefined>();
  return (hearers, agents) => {
    let expected = known.get(hearers);
    if (expected === undefined) {
      if (hearers === null || !isList(hearers)) return false;
      expected = JSON.stringify((JSON.parse(hearers) as unknown[]).map((each) => Array.isArray(each) && each[0]));
      if (known.size >= maxRemembered) known.clear();
      known.set(hearers, expected);
    }
    return expected === agents;
  };
}
