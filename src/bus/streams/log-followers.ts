import { reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import { bookmarkOf, parseBookmark } from '../../events/bookmark.ts';
import type { Event } from '../../events/event.ts';
import type { Passes, Store } from '../store/store.ts';
import { eventFrame, goaway, greeting, heartbeat } from './frames.ts';
import type { OpenStreams } from './open-streams.ts';
import type { Outlet } from './outlet.ts';
import type { Rounds } from './rounds.ts';

/** Bytes that may wait for one reader. Beyond them it is no longer sent what happens but reads on by itself. */
const maxUnsentBytes = 256 * 1024;
/** Events read and written in one go. */
const maxPage = 64;

/**
 * One reader. `at`: everything up to this seq has been sent to it or is none of its business. While it is live it is sent
 * what happens; else it catches up from the store, as fast as it reads.
 */
type Follower = { outlet: Outlet; at: number; passes: Passes | undefined };

/** Sends the log on: first what was, then what happens, without a gap or a repeat where the two meet. */
export type LogFollowers = {
  /** From after this seq, what passes, until either side ends it. */
  follow(outlet: Outlet, after: number, passes: Passes | undefined): void;
  /** Where the last `count` events that pass begin: the seq after which to read. */
  placeOfLast(count: number, passes: Passes | undefined): Promise<number>;
};

/**
 * `position` is the seq up to which live readers have been served. It moves only together with them, without a pause in
 * between, so a reader that has caught up to it can join them and has missed nothing. Each event is read and written as
 * text once, for however many.
 */
export function followersOf(store: Store, streams: OpenStreams, rounds: Rounds, log: Log): LogFollowers {
  const live = new Set<Follower>();
  let position = store.head();
  let isServing = false;

  store.onCommitted(({ head }) => {
    if (live.size === 0) position = Math.max(position, head);
    else serveSoon();
  });

  /** After those who published have their answers; what is committed until then is served together. */
  function serveSoon(): void {
    if (isServing) return;
    isServing = true;
    setImmediate(() =>
      serve().catch((error) => {
        isServing = false;
        giveUp([...live], error);
      }),
    );
  }

  async function serve(): Promise<void> {
    while (live.size > 0 && position < store.head()) {
      const { events, upTo } = await store.readAfter(position, maxPage);
      const slow = distribute(pageOf(events), upTo);
      position = Math.max(position, upTo);
      for (const follower of slow) void catchUp(follower);
      if (position < store.head()) await new Promise((go) => setImmediate(go));
    }
    isServing = false;
    if (live.size === 0) position = store.head();
  }

  /** Returns those who read too slowly; they are no longer live. */
  function distribute(page: WrittenPage, upTo: number): Follower[] {
    const slow: Follower[] = [];
    for (const follower of live) {
      if (follower.outlet.unsent > maxUnsentBytes) slow.push(follower);
      else {
        page.writeTo(follower);
        follower.at = Math.max(follower.at, upTo);
      }
    }
    for (const follower of slow) live.delete(follower);
    return slow;
  }

  async function catchUp(follower: Follower): Promise<void> {
    const { outlet, passes } = follower;
    try {
      while (!outlet.isClosed) {
        if (outlet.lags) await outlet.drained();
        else if (follower.at >= position) return join(follower);
        else {
          await rounds.next();
          if (outlet.isClosed) return;
          const { events, upTo } = await store.readAfter(follower.at, maxPage, passes);
          if (events.length > 0) outlet.write(pageOf(events).whole());
          follower.at = upTo;
        }
      }
    } catch (error) {
      giveUp([follower], error);
    }
  }

  function join(follower: Follower): void {
    live.add(follower);
    if (position < store.head()) serveSoon();
  }

  function giveUp(followers: readonly Follower[], error: unknown): void {
    log.error('streams end, because the log cannot be read', { streams: followers.length, reason: reasonOf(error) });
    for (const { outlet } of followers) outlet.end(goaway('The log cannot be read now.'));
  }

  return {
    follow(outlet, after, passes) {
      const follower: Follower = { outlet, at: after, passes };
      const bookmark = () => bookmarkOf(store.epoch, follower.at);
      if (!streams.add({ outlet, beat: () => heartbeat(bookmark()) })) return;
      outlet.whenClosed(() => live.delete(follower));
      outlet.write(greeting(bookmark()));
      void catchUp(follower);
    },
    async placeOfLast(count, passes) {
      let at = store.head();
      for (let left = count; left > 0 && at > 0; ) {
        await rounds.next();
        const back = await store.lookBack(at + 1, left, passes);
        left -= back.passed;
        at = back.at;
      }
      return at;
    },
  };
}

type WrittenPage = { writeTo(follower: Follower): void; whole(): Buffer };

/** Events ready to be written to many: each becomes bytes at most once, and all of them together too. */
function pageOf(events: readonly Event[]): WrittenPage {
  const seqs = events.map(({ bookmark }) => parseBookmark(bookmark)?.seq as number);
  const frames: (Buffer | undefined)[] = [];
  const frame = (i: number) => (frames[i] ??= Buffer.from(eventFrame(events[i] as Event)));
  let whole: Buffer | undefined;
  const joined = () => (whole ??= events.length === 1 ? frame(0) : Buffer.from(events.map(eventFrame).join('')));
  return {
    whole: joined,
    writeTo({ outlet, at, passes }) {
      if (events.length === 0) return;
      if (passes === undefined && at < (seqs[0] as number)) outlet.write(joined());
      else
        for (const [i, event] of events.entries())
          if ((seqs[i] as number) > at && (passes === undefined || passes(event))) outlet.write(frame(i));
    },
  };
}
