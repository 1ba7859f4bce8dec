import { Fault } from '../../base/fault.ts';
import type { Client } from '../../client/client.ts';
import type { Resolution } from '../../events/answer.ts';
import type { Event } from '../../events/event.ts';
import type { Journal } from './journal.ts';
import { readData } from './question-message.ts';

/** What the tapper is shown: `isAlert` where it must not be missed. */
export type TapAnswer = { text: string; isAlert: boolean };

type Deps = { client: Pick<Client, 'event' | 'respond'>; journal: Pick<Journal, 'questionOfKey'> };

/** Telegram shows at most 200 characters. */
const longest = 190;

/**
 * Answers the question whose button was tapped, and says what counts now: the answer is on disk before anybody is told so. A button
 * names its question and its option, so an old one never answers another question. Safe to repeat.
 */
export async function answerTap({ client, journal }: Deps, data: string): Promise<TapAnswer> {
  const tapped = readData(data);
  if (tapped === undefined) return alert('This button is none of mine any more. /pending shows what is open.');
  const id = journal.questionOfKey(tapped.key)?.id ?? (tapped.key.startsWith('~') ? undefined : tapped.key);
  if (id === undefined) return alert('I do not know this question any more. /pending shows what is open.');
  try {
    const event = await client.event(id);
    const option = event.human_options?.[tapped.option];
    if (option === undefined) return alert('This question has no such answer.');
    return await answerWith(client, event, option);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'not-found') return alert('The bus does not know this question any more.');
    return alert(
      isAway(error) ? 'Not stored: the bus does not answer. Tap again later.' : `Not stored: ${error.message}`,
    );
  }
}

/** @throws Fault as the bus */
export async function answerWith(
  client: Pick<Client, 'respond'>,
  { id, payload_hash }: Pick<Event, 'id' | 'payload_hash'>,
  response: string,
): Promise<TapAnswer> {
  try {
    const receipt = await client.respond(id, { response, via: 'telegram', payload_hash });
    return { text: cut(`Stored: ${receipt.response}`), isAlert: false };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'already-resolved') throw error;
    return late(error.extra.resolution as Resolution | undefined);
  }
}

function late(resolution: Resolution | undefined): TapAnswer {
  if (resolution === undefined) return alert('Decided already.');
  const { state, response, responded_by, responded_via, resolved_at } = resolution;
  const when = `${resolved_at.slice(11, 16)} UTC`;
  if (state === 'cancelled') return alert(`Taken back at ${when}.`);
  if (state === 'timed_out')
    return alert(`Too late: the time was over at ${when}${response === null ? '' : `, taken as: ${response}`}.`);
  return alert(`Decided already: ${response} (${responded_by}, ${responded_via}, ${when}).`);
}

const cut = (text: string) => (text.length > longest ? `${text.slice(0, longest - 1).toWellFormed()}…` : text);
const alert = (text: string): TapAnswer => ({ text: cut(text), isAlert: true });

/** Whether it is the bus that is away, and not the answer that is refused. */
export const isAway = ({ code }: Fault) => code === 'unreachable';
