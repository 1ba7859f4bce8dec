import type { Clock } from '../base/clock.ts';
import { reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Calls } from './calls.ts';
import type { Secrets } from './secrets.ts';
import type { KeptSecrets } from './store/call-secrets.ts';
import type { Store } from './store/store.ts';

/** After a commit, so that many commits are one look. */
const soonMs = 200;
/** For what is over by the clock alone. */
const everyMs = 5000;
/** Sides of calls looked at together. */
const atOnce = 500;

export type SecretKeeping = {
  /** Ends it after the look that is under way. Safe to repeat. */
  stop(): Promise<void>;
};

type Deps = {
  store: Pick<Store, 'keptSecrets' | 'dropSecrets' | 'onCommitted'>;
  calls: Pick<Calls, 'isOver'>;
  secrets: Pick<Secrets, 'whenKept'>;
  clock: Clock;
  log: Log;
};

/**
 * Forgets the secrets of calls: the arguments when the call is over, everything when its time is. What is to go is seen from
 * what is kept, so a bus that was killed forgets at its next start. An error is logged and tried again.
 */
export function startSecretKeeping({ store, calls, secrets, clock, log }: Deps): SecretKeeping {
  let stopped = false;
  let holds = true;
  let timer: NodeJS.Timeout | undefined;
  let failing = '';
  let running: Promise<void> = Promise.resolve();

  async function look(): Promise<void> {
    // Before looking, or what is kept meanwhile would be missed.
    holds = false;
    for (let after: KeptSecrets | undefined; ; ) {
      const found = await store.keptSecrets(atOnce, after);
      if (found.length > 0) holds = true;
      // Only what must go is written: a look at each commit that made one of its own would never end.
      for (const { call, side, until } of found)
        if (until <= clock() || (side === 'arguments' && (await calls.isOver(call))))
          await store.dropSecrets(call, side);
      after = found.at(-1);
      if (found.length < atOnce || stopped) return;
    }
  }

  const plan = (ms: number) => {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(again, ms);
    timer.unref();
  };
  let isPlanned = false;
  const again = () => {
    isPlanned = false;
    running = running.then(look).then(
      () => {
        if (failing !== '') log.info('the secrets of calls are forgotten again');
        failing = '';
        if (holds && !isPlanned) plan(everyMs);
      },
      (error: unknown) => {
        const reason = reasonOf(error);
        if (reason !== failing) log.error('secrets of calls could not be forgotten; trying again', { reason });
        failing = reason;
        plan(everyMs);
      },
    );
  };
  const soon = () => {
    if (stopped || isPlanned) return;
    isPlanned = true;
    plan(soonMs);
  };
  secrets.whenKept(() => {
    holds = true;
    soon();
  });
  const ignore = store.onCommitted(() => {
    if (holds) soon();
  });
  again();
  return {
    async stop() {
      stopped = true;
      ignore();
      clearTimeout(timer);
      await running;
    },
  };
}
