import type { JsonObject } from '../base/json.ts';
import type { Asker } from '../events/capability.ts';
import type { Event } from '../events/event.ts';

/** What an agent says. Id, source and cause are the runner's to add. */
export type Said = {
  action: string;
  target: string | null;
  details: JsonObject;
  /** Another event than the one that was heard, where it follows from that: it is said once of it, whatever the target. */
  because?: Pick<Event, 'id' | 'correlation_id'>;
};

/**
 * What comes of one delivery: what is said, each action once for a target, and what becomes of the delivery. `again`: given
 * back, until the bus' attempts are used up. `never`: a dead letter at once, which a person may redrive.
 */
export type Conclusion = {
  says: readonly Said[];
  end:
    | { kind: 'done' }
    | { kind: 'again'; because: string; afterSeconds?: number | undefined }
    | { kind: 'never'; because: string };
};

/** What an agent says because of no event. `of` names what it is of: it is said once of that, and belongs together by it. */
export type SaidByItself = Omit<Said, 'because'> & { of: string };

/** Publishes it, once, however often it is said. False when the bus cannot take it now: say it again the next time. */
export type Say = (said: SaidByItself) => Promise<boolean>;

/**
 * An agent as data: who it is, what it hears, and what it concludes. It neither claims, publishes nor acknowledges; runner.ts
 * does. What it touches besides is handed to whoever makes it.
 */
export type Agent = {
  /** In upper case by custom; ASCII. */
  name: string;
  /** Where its health is asked. */
  port: number;
  /** In whose name it speaks, when its deliveries come from a queue beside the agent's. */
  speaksAs?: string;
  /** How many deliveries it works on at once; one when left out. */
  atOnce?: number;
  /** Pattern → priority, 1 the best. The table of the bus is the truth: this adds only what was never in it. */
  hears: Readonly<Record<string, number>>;
  /** A reaction that takes longer has failed. */
  longestMs: number;
  /**
   * Repeatable: the same event comes again after a crash. What throws is tried again. On the signal it lets go of everything
   * and throws its reason.
   */
  react(event: Event, signal: AbortSignal): Promise<Conclusion>;
  /** What it says instead of reacting, where too many events led to this one; nothing when left out. */
  onCut?(event: Event): readonly Said[];
  /**
   * What it does beside what it hears, one thing at a time. Answers in how many milliseconds it wants to be asked again.
   * Repeatable, and no bus is needed for it. On the signal it lets go of everything and throws its reason.
   */
  byItself?(say: Say, signal: AbortSignal): Promise<number>;
  /** What it can do for others, by the name of the capability. */
  offers?: Readonly<Record<string, Handler>>;
};

/** One call of a capability, as its handler sees it. `id` is the same however often it comes again after a crash. */
export type Call = { id: string; askedBy: Asker; signal: AbortSignal };

/**
 * Does what a capability says; `args` are what its schema lets through. Repeatable, as `react` is. A Fault is what the caller
 * is told.
 */
export type Handler = {
  /**
   * Of a destructive one: what exactly would be done, and sentences for the person who decides. Changes nothing. The
   * arguments it gives back are the ones that are approved, and that `run` is given.
   */
  prepare?(args: JsonObject, call: Call): Promise<Prepared>;
  run(args: JsonObject, call: Call): Promise<JsonObject>;
  /** What others hear of it when it is done, beside its result. */
  says?(result: JsonObject, args: JsonObject): Said[];
};

export type Prepared = { arguments: JsonObject; says: readonly string[] };

/** Nothing more to do for this event. */
export function done(...says: Said[]): Conclusion {
  return { says, end: { kind: 'done' } };
}
