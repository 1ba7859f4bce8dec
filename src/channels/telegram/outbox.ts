import { GrammyError } from 'grammy';
import type { Clock } from '../../base/clock.ts';
import { reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { Journal, Waiting } from './journal.ts';
import { html } from './markup.ts';
import { makePacer, type Pace } from './pace.ts';
import { asSettled, tellEnd } from './settle.ts';

/** The calls of Telegram that the outbox makes. */
export type Sender = {
  /** The id of the new message. @throws GrammyError when Telegram refuses it, else what the network says */
  send(saying: Waiting): Promise<number>;
  edit(saying: Waiting): Promise<void>;
  /** Takes away a message, of whom it may be. */
  remove(saying: Waiting): Promise<void>;
};

export type Outbox = {
  /** Until the signal, or until Telegram says that the token is none: that is thrown. */
  run(): Promise<void>;
  /** Something was put into the journal. */
  wake(): void;
};

type Options = {
  journal: Journal;
  sender: Sender;
  pace: Pace;
  log: Log;
  clock: Clock;
  signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A person has this question before them now. */
  onShown?: ((question: string) => void) | undefined;
};

/** After what the network or the server of Telegram did. */
const firstPauseMs = 500;
const longestPauseMs = 60_000;
/** How often Telegram may refuse one message for a reason that is not known here before it is given up. */
const maxRefusals = 5;
/** While the disk takes no note of what was sent. */
const diskPauseMs = 10_000;
/** With nothing to do it looks again after this long. */
const idleMs = 60_000;

/**
 * Sends what waits in the journal, one at a time, so that after a kill at most the one that was under way goes out twice. It keeps
 * Telegram's limits, waits as long as it is told to, and goes on for ever where only the network fails.
 */
export function makeOutbox({ journal, sender, pace, log, clock, signal, sleep, onShown }: Options): Outbox {
  const pacer = makePacer(pace);
  let troubles = 0;
  let woken = new AbortController();
  const rest = async (ms: number) => {
    const until = AbortSignal.any([signal, woken.signal]);
    // Woken or stopped: both are looked at in the loop.
    await sleep(ms, until).catch(() => undefined /* it was woken */);
  };

  const pauseAfter = (error: unknown): number => {
    troubles += 1;
    const asked = error instanceof GrammyError ? (error.parameters.retry_after ?? 0) * 1000 : 0;
    const pauseMs = asked || Math.min(firstPauseMs * 2 ** Math.min(troubles - 1, 10), longestPauseMs);
    log.warn('Telegram takes no message now; trying again', { because: reasonOf(error), again_in_ms: pauseMs });
    return pauseMs;
  };

  /** Until it is on disk: one that is full is no reason to send something again, nor to end, which would be that. */
  const written = async (write: () => void): Promise<void> => {
    for (let tries = 0; ; tries++)
      try {
        return write();
      } catch (error) {
        if (signal.aborted) throw error;
        if (tries === 0) log.error('what was sent cannot be noted; trying again', { because: reasonOf(error) });
        await sleep(diskPauseMs, signal).catch(() => undefined /* the signal is looked at above */);
      }
  };

  const sendOne = async (saying: Waiting): Promise<void> => {
    pacer.sent(saying.chat, clock());
    let message: number;
    try {
      message = await takenAs(saying);
    } catch (error) {
      return failed(saying, error);
    }
    troubles = 0;
    await written(() =>
      journal.together(() => {
        journal.sent(saying.seq, message);
        // It may have been decided while this was under way.
        if (saying.question !== null) tellEnd(journal, saying.question);
      }),
    );
    if (saying.question !== null && saying.edits === null) onShown?.(saying.question);
  };

  const takenAs = async (saying: Waiting): Promise<number> => {
    if (saying.edits === null) return sender.send(asSettled(journal, saying));
    await (isRemoval(saying) ? sender.remove(saying) : sender.edit(saying));
    return saying.edits;
  };

  const failed = async (saying: Waiting, error: unknown): Promise<void> => {
    const { kind } = judge(error, saying);
    if (kind === 'fatal') throw error;
    if (kind === 'settled') await written(() => journal.sent(saying.seq, saying.edits as number));
    else if (kind === 'again') pacer.hush(pauseAfter(error), clock());
    else if (kind === 'refused' && saying.attempts + 1 < maxRefusals) {
      await written(() => journal.failed(saying.seq));
      pacer.hush(pauseAfter(error), clock());
    } else {
      log.error('a message cannot be delivered and is dropped', { id: saying.id, because: reasonOf(error) });
      await written(() =>
        journal.together(() => {
          journal.dropped(saying.seq, reasonOf(error));
          if (isRemoval(saying)) sayLeft(journal, saying);
        }),
      );
    }
  };

  return {
    wake: () => woken.abort(),
    async run() {
      while (!signal.aborted) {
        woken = new AbortController();
        const waits = journal.next().map((saying) => ({ saying, ms: pacer.waitMs(saying.chat, clock()) }));
        const ready = waits.find(({ ms }) => ms === 0);
        if (ready) await sendOne(ready.saying);
        // A new one does not make an old one wait less.
        else await rest(Math.min(idleMs, ...waits.map(({ ms }) => ms)));
      }
    },
  };
}

const isRemoval = ({ edits, shown }: Waiting) => edits !== null && shown.html === '';

/** Telegram lets nobody but its writer take away what is older than two days. */
function sayLeft(journal: Journal, { id, chat }: Waiting): void {
  const { html: text } =
    html`⚠️ Telegram does not let me take a message of yours out of the chat that may have a code in it. Delete it yourself.`;
  journal.say({ id: `left ${id}`, chat, shown: { html: text, keys: [] }, isReply: true });
}

type Verdict = { kind: 'again' | 'settled' | 'refused' | 'hopeless' | 'fatal' };

/** What a failure means for the message: Telegram's own words decide where its codes do not. */
function judge(error: unknown, { edits }: Waiting): Verdict {
  // The network, or a server that broke off: whether it was taken is not known, so it goes again.
  if (!(error instanceof GrammyError)) return { kind: 'again' };
  const { error_code: code, description } = error;
  if (code === 401 || code === 404) return { kind: 'fatal' };
  if (code === 429 || code >= 500) return { kind: 'again' };
  if (edits !== null) {
    // Taken away already: by whoever wrote it, or just before a kill.
    if (/message is not modified|message to delete not found/.test(description)) return { kind: 'settled' };
    if (/message to edit not found|message can't be (edited|deleted)|MESSAGE_ID_INVALID/.test(description))
      return { kind: 'hopeless' };
  }
  // Blocked by its reader or never begun: what was to be said is still to be read on every other channel.
  if (code === 403 || /chat not found/.test(description)) return { kind: 'hopeless' };
  return { kind: 'refused' };
}
