import { Fault } from '../../base/fault.ts';
import type { Client } from '../../client/client.ts';
import type { Resolution } from '../../events/answer.ts';
import type { Event } from '../../events/event.ts';

/** What whoever answered is shown: `isAlert` where it must not be missed. */
export type TapAnswer = { text: string; isAlert: boolean };

/** `by`: which of several people who answer as one. `proof`: that they have given a code. */
export type Given = { by: string | undefined; proof?: string | null; reason?: string | undefined };

/** Telegram shows at most 200 characters. */
const longest = 190;

/** Answers a question, and says what counts now: the answer is on disk before anybody is told so. @throws Fault as the bus */
export async function answerWith(
  client: Pick<Client, 'respond'>,
  { id, payload_hash }: Pick<Event, 'id' | 'payload_hash'>,
  response: string,
  { by, proof = null, reason }: Given,
): Promise<TapAnswer> {
  const why = [...(reason === undefined ? [] : [reason]), ...(by === undefined ? [] : [`${by} on Telegram`])].join(
    ', ',
  );
  const body = { response, via: 'telegram', payload_hash, ...(why === '' ? {} : { reason: why }) };
  try {
    const receipt = await client.respond(id, { ...body, ...(proof === null ? {} : { proof }) });
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

/** Something that must not be missed. */
export const alert = (text: string): TapAnswer => ({ text: cut(text), isAlert: true });

/** Whether it is the bus that is away, and not the answer that is refused. */
export const isAway = ({ code }: Fault) => code === 'unreachable';
