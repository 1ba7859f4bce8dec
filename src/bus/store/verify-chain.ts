import type { KeyObject } from 'node:crypto';
import { chained, noHash } from './chain.ts';
import { firstOutside, type SeqRange } from './seq-ranges.ts';
import { type Checkpoint, isSigned } from './signed-checkpoint.ts';

/** One step of the chain as a store has it, in ascending order of seq. */
export type ChainLink =
  /** `envelope`: null where the row can be no event that the bus stored. */
  | { kind: 'event'; seq: number; hash: string | null; envelope: string | null }
  /** What is left of purged events; the hash is that of the last one. */
  | { kind: 'purged'; from: number; to: number; hash: string };

export type FindingKind = 'altered' | 'deleted' | 'unchained' | 'checkpoint-mismatch';

/** Something that is not as it was. `seq`: the first event that it strikes. */
export type Finding = { kind: FindingKind; seq: number; says: string };

export type Verdict = {
  /** By seq; at most `maxFindings`, though all are counted in `found`. */
  findings: Finding[];
  found: number;
  events: number;
  purged: number;
  head: number;
  checkpoints: {
    sound: number;
    /** The newest event that a sound checkpoint speaks for. What came later may have been changed along with the chain. */
    newest: number | null;
    /** Those of events that a restore from a backup lost, as the log itself says. */
    lost: number;
  };
};

/** Findings beyond this are counted only: where much is changed, the first say enough. */
const maxFindings = 100;

/** `follows`: by the first event of each range, the beginning of the hash that it was chained to. */
export type AnnouncedPurges = { ranges: readonly SeqRange[]; follows: ReadonlyMap<number, string> };

/** `ended`: the epoch of the backup. `head`: its newest event. `at`: when the log was put back, in milliseconds. */
export type Restore = { ended: string; head: number; at: number };

export type VerifyInput = {
  links: Iterable<ChainLink>;
  /** By seq. */
  checkpoints: Iterable<Checkpoint>;
  /** The newest event as the store counts it. */
  head: number;
  epoch: string;
  /** Which events went by retention, as the bus announced it. */
  purged: AnnouncedPurges;
  /** Each restore from a backup that the log tells of. */
  restores: readonly Restore[];
  keys: ReadonlyMap<string, KeyObject>;
  /** Called after each link. */
  progress?: ((seq: number) => void) | undefined;
};

/**
 * Holds a chain against itself, against what the bus announced as purged, and against signed checkpoints, in one pass. It
 * keeps nothing of what it has passed.
 */
export function verifyChain(input: VerifyInput): Verdict {
  const { head, progress } = input;
  const report = reportOf();
  const walk = walkOf(input, report);
  const judge = checkpointJudgeOf(input, report);
  for (const link of input.links) {
    walk.take(link);
    judge.reach(link);
    progress?.(link.kind === 'event' ? link.seq : link.to);
  }
  const { events, purged, through } = walk.state;
  if (through < head) report.note('deleted', through + 1, `${span([through + 1, head])} missing at the end of the log`);
  const checkpoints = judge.end(Math.max(head, through));
  const findings = report.findings.toSorted((a, b) => a.seq - b.seq);
  return { findings, found: report.found(), events, purged, head, checkpoints };
}

type Report = { findings: Finding[]; found(): number; note(kind: FindingKind, seq: number, says: string): void };

function reportOf(): Report {
  const findings: Finding[] = [];
  let found = 0;
  return {
    findings,
    found: () => found,
    note(kind, seq, says) {
      found += 1;
      if (findings.length < maxFindings) findings.push({ kind, seq, says });
    },
  };
}

function walkOf({ head, purged: announced }: VerifyInput, { note }: Report) {
  const state = { events: 0, purged: 0, through: 0 };
  /** Hashes that the next event may follow: more than one where the last did not give its own, none after a gap. */
  let previous: string[] = [noHash];
  let beforePrevious = noHash;
  let isAfterRun = false;

  function reach(seq: number): void {
    if (seq === state.through + 1) return;
    note('deleted', state.through + 1, `${span([state.through + 1, seq - 1])} missing, and no purge took ${them(seq)}`);
    previous = [];
  }
  const them = (seq: number) => (seq - 1 === state.through + 1 ? 'it' : 'them');

  function purged({ from, to, hash }: ChainLink & { kind: 'purged' }): void {
    reach(from);
    const outside = firstOutside(announced.ranges, [from, to]);
    const follows = announced.follows.get(from);
    if (outside) note('deleted', outside[0], `${span(outside)} marked as purged, but no announcement says so`);
    else if (follows === undefined) note('unchained', from, `no purge began with event ${from}`);
    else if (follows === '' || (previous.length > 0 && !previous.some((hash) => hash.startsWith(follows))))
      note('altered', Math.max(1, from - 1), `what precedes event ${from} is not what did when that was purged`);
    state.purged += to - from + 1;
    state.through = to;
    previous = [hash];
    isAfterRun = true;
  }

  function event(link: ChainLink & { kind: 'event' }): void {
    const { seq, hash, envelope } = link;
    state.events += 1;
    if (seq <= state.through) {
      const where = seq < 1 ? 'before the log begins' : 'where events were purged';
      note('unchained', seq, `event ${seq} stands ${where}`);
      return;
    }
    reach(seq);
    state.through = seq;
    const would = envelope === null ? [] : previous.map((each) => chained(each, envelope));
    const follows = hash !== null && (would.includes(hash) || (previous.length === 0 && envelope !== null));
    if (!follows || seq > head) noteEvent(link, would);
    beforePrevious = previous[0] ?? noHash;
    previous = follows ? [hash] : [...(hash === null ? [] : [hash]), ...would.slice(0, 1)];
    isAfterRun = false;
  }

  function noteEvent({ seq, hash, envelope }: ChainLink & { kind: 'event' }, would: readonly string[]): void {
    const startsAnew = envelope !== null && [noHash, beforePrevious].some((each) => chained(each, envelope) === hash);
    if (seq > head) note('unchained', seq, `event ${seq} was added after the end of the log`);
    else if (hash === null) note('unchained', seq, `event ${seq} has no hash`);
    else if (startsAnew) note('unchained', seq, `event ${seq} does not follow the event before it`);
    else if (isAfterRun && would.length > 0)
      note('unchained', seq, `event ${seq} does not follow the purged events before it, or was altered`);
    else note('altered', seq, `event ${seq} is not what the bus stored`);
  }

  return { state, take: (link: ChainLink) => (link.kind === 'event' ? event(link) : purged(link)) };
}

function checkpointJudgeOf({ checkpoints, epoch, restores, keys }: VerifyInput, { note }: Report) {
  const iterator = checkpoints[Symbol.iterator]();
  const summary: Verdict['checkpoints'] = { sound: 0, newest: null, lost: 0 };
  let next = iterator.next();

  /** `hash`: what the log has there; undefined where it has nothing left to compare. */
  function judge(checkpoint: Checkpoint, hash: string | undefined): void {
    const { seq, key_id } = checkpoint;
    const key = keys.get(key_id);
    if (!key) note('checkpoint-mismatch', seq, `the checkpoint at ${seq} is signed with the unknown key ${key_id}`);
    else if (!isSigned(checkpoint, key))
      note('checkpoint-mismatch', seq, `the checkpoint at ${seq} has a wrong signature`);
    else if (hash === undefined) return;
    else if (hash !== checkpoint.hash)
      note(
        'checkpoint-mismatch',
        seq,
        `event ${seq} has another hash than the checkpoint says: the chain was changed before it`,
      );
    else {
      summary.sound += 1;
      summary.newest = Math.max(summary.newest ?? 0, seq);
    }
  }

  const known = new Set(restores.map(({ ended }) => ended));
  /** A life of which the log knows nothing went with all its events when a backup of before it was put back once more. */
  const isLost = ({ epoch: life, seq, at }: Checkpoint) =>
    life !== epoch &&
    restores.some((restore) => seq > restore.head && (known.has(life) ? restore.ended === life : at <= restore.at));

  function take(until: number, hash: (seq: number) => string | undefined): void {
    for (; !next.done && next.value.seq <= until; next = iterator.next()) {
      if (isLost(next.value)) summary.lost += 1;
      else judge(next.value, hash(next.value.seq));
    }
  }

  return {
    reach(link: ChainLink): void {
      if (next.done) return;
      const last = link.kind === 'event' ? link.seq : link.to;
      take(last, (seq) => (seq === last ? (link.hash ?? undefined) : undefined));
    },
    end(head: number): Verdict['checkpoints'] {
      take(head, () => undefined);
      for (; !next.done; next = iterator.next()) {
        const { seq } = next.value;
        if (isLost(next.value)) summary.lost += 1;
        else if (isGood(next.value))
          note('deleted', head + 1, `the log ends at ${head}, and a checkpoint speaks for ${seq}`);
        else judge(next.value, undefined);
      }
      return summary;
    },
  };

  function isGood(checkpoint: Checkpoint): boolean {
    const key = keys.get(checkpoint.key_id);
    return key !== undefined && isSigned(checkpoint, key);
  }
}

function span([from, to]: SeqRange): string {
  return from === to ? `event ${from} is` : `events ${from} to ${to} are`;
}
