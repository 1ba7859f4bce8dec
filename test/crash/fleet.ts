import { setTimeout as pause, setImmediate as yieldTurn } from 'node:timers/promises';
import { call, type Reply } from './call.ts';
import { claimsOf } from './claims.ts';
import { followersOf } from './followers.ts';
import type { Random } from './random.ts';

/** What the bus has promised by answering. Everything in here must be true after any crash. */
export type Promises = {
  published: Published[];
  acknowledged: { id: string; agent: string }[];
  /** How a question ended, as the winner's 200 or the loser's 409 told it. */
  resolved: Resolved[];
  /** Answers that were neither a promise nor the end of the connection: each is a failure of the bus. */
  refused: string[];
  /** How many were cut off by a kill and sent again with the same id. */
  sentAgain: number;
};

export type Published = { id: string; bookmark: string; draft: Draft };
export type Resolved = { id: string; state: string; response: string | null; by: string | null };
export type Draft = {
  id?: string;
  source_agent: string;
  action: string;
  target: string;
  details: Record<string, unknown>;
  requires_human?: true;
  human_question?: string;
  human_options?: string[];
  human_timeout_minutes?: number;
  human_fallback?: string;
};

export type Fleet = {
  readonly promises: Promises;
  /** Everybody works against this address until `stop`, resting up to `maxPauseMs` after each request. */
  run(url: string, maxPauseMs: number): void;
  /** Settles when this many further publishes and resolutions have been promised: the worst moment for a kill. */
  promised(further: number): Promise<void>;
  /** Nobody starts anything new; settles when the last request has ended one way or the other. */
  stop(): Promise<void>;
  /** Each follower of the stream has heard the whole log, once and in order. Answers its length. */
  caughtUp(url: string): Promise<number>;
};

const publishers = 8;
const acknowledgers = 2;
const claimers = 3;
const answerers = 3;
const readers = 2;
/** 120 ms: passes while the load runs, so that answers, deadlines and kills meet. */
const shortMinutes = 0.002;
const actions = ['workflow_modified', 'deploy_started', 'backup_completed', 'build_failed', 'cpu_sampled'];
/** Those of them that hear by queue. */
const queues = ['AEGIS', 'CHRONOS', 'HADES', 'HERMES'];
const agents = ['AEGIS', 'CHRONOS', 'HADES', 'HERMES', 'ATHENA', 'ARGUS'];

/** Agents that publish, acknowledge, ask and answer at once, and remember what they were told. */
export function fleetOf(random: Random): Fleet {
  const promises: Promises = { published: [], acknowledged: [], resolved: [], refused: [], sentAgain: 0 };
  /** Sent, never answered: sent again with the same id after the restart. */
  const unanswered: (Draft | undefined)[] = Array.from({ length: publishers });
  let open: { id: string; draft: Draft }[] = [];
  let count = 0;
  let url = '';
  let working = false;
  let maxPauseMs = 0;
  let watch: { left: number; reached(): void } | undefined;
  let crew: Promise<void>[] = [];
  const telling = {
    acknowledged: (agent: string, id: string) => void promises.acknowledged.push({ id, agent }),
    refuse,
  };
  const claimOne = claimsOf(random, queues, telling);
  const followers = followersOf(readers, telling);

  async function publishOne(worker: number): Promise<void> {
    const again = unanswered[worker];
    if (again) promises.sentAgain += 1;
    const draft = again ?? draftOf(random, worker, ++count);
    if (draft.id) unanswered[worker] = draft;
    const reply = await call(url, 'POST', '/events', draft);
    if (!reply) return;
    unanswered[worker] = undefined;
    const { id, bookmark } = reply.body as { id: string; bookmark: string };
    if (reply.status !== 201 && !(reply.status === 200 && again)) return refuse('publish', reply, draft);
    promises.published.push({ id, bookmark, draft });
    noticePromise();
    if (draft.requires_human) open.push({ id, draft });
  }

  async function acknowledgeOne(): Promise<void> {
    const event = random.pick(promises.published.slice(-200));
    if (!event) return;
    const agent = random.pick(agents) as string;
    const reply = await call(url, 'POST', `/events/${event.id}/acknowledge?agent=${agent}`);
    if (!reply) return;
    if (reply.status !== 200) return refuse('acknowledge', reply, event.id);
    promises.acknowledged.push({ id: event.id, agent });
  }

  async function settleOne(worker: number): Promise<void> {
    const question = random.pick(open);
    if (!question) return;
    const { id, draft } = question;
    const rivals = random.chance(0.3) ? 2 : 1;
    const attempts = Array.from({ length: rivals }, (_, n) =>
      random.chance(0.2) ? cancel(id, draft) : answer(id, draft, `person-${worker}-${n}`),
    );
    const won = (await Promise.all(attempts)).filter((outcome) => outcome === 'won').length;
    if (won > 1) promises.refused.push(`${id} was won ${won} times`);
    open = open.filter((other) => other.id !== id);
  }

  async function answer(id: string, draft: Draft, responder: string): Promise<'won' | 'lost' | undefined> {
    const response = random.pick(draft.human_options ?? ['later', 'go on']) as string;
    const reply = await call(url, 'POST', `/events/${id}/respond`, { response, responder });
    if (!reply) return undefined;
    if (reply.status === 409) return lost(id, reply);
    if (reply.status !== 200) refuse('answer', reply, id);
    else promises.resolved.push({ id, state: 'answered', response, by: responder });
    noticePromise();
    return 'won';
  }

  function noticePromise(): void {
    if (!watch || --watch.left > 0) return;
    watch.reached();
    watch = undefined;
  }

  async function cancel(id: string, { source_agent }: Draft): Promise<'won' | 'lost' | undefined> {
    const reply = await call(url, 'POST', `/events/${id}:cancel`, { cancelled_by: source_agent });
    if (!reply) return undefined;
    if (reply.status === 409) return lost(id, reply);
    if (reply.status !== 200) refuse('cancel', reply, id);
    else promises.resolved.push({ id, state: 'cancelled', response: null, by: source_agent });
    return 'won';
  }

  function lost(id: string, { body }: Reply): 'lost' {
    const { resolution } = body as {
      resolution: { state: string; response: string | null; responded_by: string | null };
    };
    promises.resolved.push({ id, state: resolution.state, response: resolution.response, by: resolution.responded_by });
    return 'lost';
  }

  function refuse(what: string, { status, body }: Reply, of: unknown): void {
    promises.refused.push(`${what}: ${status} ${JSON.stringify(body)} for ${JSON.stringify(of)}`);
  }

  async function work(job: () => Promise<void>): Promise<void> {
    while (working) {
      await job();
      // Also without a pause everybody else gets a turn.
      await (maxPauseMs > 0 ? pause(random.whole(0, maxPauseMs)) : yieldTurn());
    }
  }

  return {
    promises,
    run(at, pauseMs) {
      url = at;
      maxPauseMs = pauseMs;
      working = true;
      followers.run(at);
      const jobs = (size: number, job: (worker: number) => Promise<void>) =>
        Array.from({ length: size }, (_, worker) => work(() => job(worker)));
      const some = [...jobs(publishers, publishOne), ...jobs(acknowledgers, acknowledgeOne)];
      crew = [...some, ...jobs(answerers, settleOne), ...jobs(claimers, () => claimOne(url))];
    },
    caughtUp: (at) => followers.caughtUp(at),
    promised: (further) =>
      new Promise((reached) => {
        watch = { left: further, reached };
      }),
    async stop() {
      working = false;
      await Promise.all([...crew, followers.stop()]);
    },
  };
}

function draftOf(random: Random, worker: number, number: number): Draft {
  const draft: Draft = {
    source_agent: `WORKER_${worker}`,
    action: random.pick(actions) as string,
    target: `target-${number}`,
    details: { number, text: 'é'.repeat(random.whole(0, 40)), nested: { list: [1, 2.5, null, true] } },
  };
  if (random.chance(0.6)) draft.id = `w${worker}-${number}`;
  if (!random.chance(0.3)) return draft;
  Object.assign(draft, { requires_human: true, human_question: `May number ${number} go on?` });
  if (random.chance(0.6)) draft.human_options = ['yes', 'no', 'later'];
  if (random.chance(0.6)) draft.human_timeout_minutes = shortMinutes;
  if (draft.human_timeout_minutes && random.chance(0.6)) draft.human_fallback = 'no';
  return draft;
}
