import type { IncomingHttpHeaders } from 'node:http';
import { Fault } from '../base/fault.ts';
import { parseJson } from '../base/json.ts';
import { cloudEventBatchType, cloudEventType, isJsonType } from '../events/cloud-event.ts';
import type { Place } from '../events/parse.ts';
import { bytesOf, mediaTypeOf, type RawBody, textOf } from './body.ts';
import { quoted } from './refusals.ts';

/** How a body carries what is published: as it is, or as CloudEvents in one of the modes of their HTTP binding. */
export type Mode = 'plain' | 'structured' | 'batch' | 'binary';

const attributePrefix = 'ce-';

/** Tells the mode by the headers, as CloudEvents' HTTP binding says; a plain publish is told at a glance. */
export function modeOf(headers: IncomingHttpHeaders): Mode {
  const type = headers['content-type'];
  if (type !== undefined && type !== 'application/json') {
    const mediaType = mediaTypeOf(type);
    if (mediaType === cloudEventType) return 'structured';
    if (mediaType === cloudEventBatchType) return 'batch';
  }
  if (headers['ce-specversion'] !== undefined || headers['ce-type'] !== undefined) return 'binary';
  return 'plain';
}

/**
 * The JSON form of a CloudEvent whose attributes are headers and whose data is the body.
 * @throws Fault `too-large`, `unsupported-media-type`, `malformed`, `invalid`
 */
export function readBinary(body: RawBody, headers: IncomingHttpHeaders): Record<string, unknown> {
  const event: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith(attributePrefix)) event[name.slice(attributePrefix.length)] = valueIn(name, String(value));
  const type = headers['content-type']?.trim() || undefined;
  if (type !== undefined && !isJsonType(type) && !sentUnasked.test(type)) throw noJsonData(type);
  if (bytesOf(body).length > 0) event.data = parseJson(textOf(body, undefined));
  return event;
}

/** Where an attribute of a CloudEvent in binary mode lies: in a header, or for data in the body. */
export const binaryPlace: Place = (pointer) => {
  const [, name = '', ...below] = pointer.split('/');
  if (name === 'data') return below.map((part) => `/${part}`).join('');
  return attributePrefix + name;
};

/** What curl says of a body when it is told nothing. */
const sentUnasked = /^application\/x-www-form-urlencoded\b/i;

function noJsonData(type: string): Fault {
  return new Fault(
    'unsupported-media-type',
    `The data of this CloudEvent is announced as ${quoted(type)}, but JSON is needed.`,
    { hint: 'Send data as a JSON object, with Content-Type: application/json.' },
  );
}

/** A header's value without its quotes and percent-encoding (CloudEvents' HTTP binding, 3.1.3.2). */
function valueIn(name: string, header: string): string {
  const refuse = (detail: string) =>
    new Fault('invalid', `The header ${name} makes no sense: it ${detail}.`, { mistakes: [{ pointer: name, detail }] });
  if (!/^[\x20-\x7e]*$/.test(header)) throw refuse('must be percent-encoded where it is no visible ASCII');
  const value = /^".*"$/.test(header) ? header.slice(1, -1).replace(/\\(.)/g, '$1') : header;
  try {
    return value.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent);
  } catch {
    throw refuse('is percent-encoded, but not as UTF-8');
  }
}
