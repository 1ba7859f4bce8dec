import { cloudEventBatchType, cloudEventOf } from '../events/cloud-event.ts';
import type { Event } from '../events/event.ts';
import type { Answer } from './route.ts';

/**
 * Whether a caller asks for this media type by its name, and for plain JSON not rather. A wildcard asks for nothing in
 * particular, and whoever names no type reads JSON.
 */
export function asksFor(mediaType: string, accept: string | undefined): boolean {
  if (accept === undefined || !accept.toLowerCase().includes(mediaType)) return false;
  let wanted = 0;
  let json = 0;
  for (const range of accept.toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    if (type === mediaType) wanted = Number(q) || 0;
    if (type === 'application/json') json = Number(q) || 0;
  }
  return wanted > 0 && wanted >= json;
}

/** What the calls that answer so say of it. */
export const pageAsCloudEvents =
  'With Accept: application/cloudevents-batch+json it is a batch of CloudEvents 1.0, and the header Link leads on.';
export const linkHelp = { Link: 'Of a batch of CloudEvents: rel="next" is the following page, if there is one' };

/** A page of a list as a batch of CloudEvents. A batch is a bare list, so the way to the next page is a header. */
export function cloudEventPage(
  events: readonly Event[],
  path: string,
  query: Readonly<Record<string, string | number | boolean | undefined>>,
  next: string | null,
): Answer {
  const answer = { status: 200, body: events.map(cloudEventOf), mediaType: cloudEventBatchType };
  if (next === null) return answer;
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, before: next }))
    if (value !== undefined) parameters.set(name, String(value));
  return { ...answer, headers: { link: `<${path}?${parameters}>; rel="next"` } };
}
