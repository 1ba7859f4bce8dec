import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { parseJsonElements } from '../base/json.ts';
import { cloudEventBatchType, cloudEventSchema, cloudEventType, parseCloudEvent } from '../events/cloud-event.ts';
import { type Draft, draftSchema } from '../events/draft.ts';
import { type Parsed, type Place, parseDraft, type Warning } from '../events/parse.ts';
import { jsonOf, type RawBody, textOf, usualBodyBytes } from './body.ts';
import { binaryPlace, modeOf, readBinary } from './cloud-event-body.ts';
import type { BodyShape } from './route.ts';
import { maxBatchDrafts } from './store/store.ts';

/** Bytes of a batch. Each event of it may have as many as a body of its own. */
export const batchBodyBytes = 8 * 1024 * 1024;

/** A batch after parsing: each event has its place in all three, and a draft or the reason why it has none. */
export type Batch = {
  drafts: (Draft | null)[];
  refused: ReadonlyMap<number, Fault>;
  warnings: ReadonlyMap<number, readonly Warning[]>;
};

const example = { source_agent: 'HEPHAESTUS', action: 'deploy_started', target: 'dev', details: { version: '1.4.2' } };
const cloudExample = {
  specversion: '1.0',
  id: 'deploy-42',
  source: '/agents/HEPHAESTUS',
  type: 'deploy_started',
  subject: 'dev',
  data: { version: '1.4.2' },
};

/** The body of POST /events: one event, or a batch of CloudEvents. */
export const publishBody: BodyShape<Draft | Batch> = {
  schema: draftSchema,
  example,
  accepts: {
    [cloudEventType]: { schema: cloudEventSchema, example: cloudExample },
    [cloudEventBatchType]: { schema: batchOf(cloudEventSchema), example: [cloudExample] },
  },
  maxBytes: (headers) => (modeOf(headers) === 'batch' ? batchBodyBytes : usualBodyBytes),
  read(body, headers) {
    const mode = modeOf(headers);
    if (mode === 'plain') return jsonOf(body, headers['content-type']);
    if (mode === 'binary') return readBinary(body, headers);
    return mode === 'batch' ? readBatch(body, headers) : jsonOf(body, undefined);
  },
  parse(input, headers): Parsed<Draft | Batch> {
    const mode = modeOf(headers);
    if (mode === 'plain') return parseDraft(input);
    if (mode === 'batch') return parseBatch(input, parseCloudEvent);
    return parseCloudEvent(input, mode === 'binary' ? binaryPlace : undefined);
  },
};

/** The body of POST /events:batch. */
export const batchBody: BodyShape<Batch> = {
  schema: batchOf(draftSchema),
  example: [example, { ...example, action: 'deploy_completed' }],
  accepts: { [cloudEventBatchType]: { schema: batchOf(cloudEventSchema), example: [cloudExample] } },
  maxBytes: batchBodyBytes,
  read: readBatch,
  parse(input, headers) {
    const mode = modeOf(headers);
    if (mode === 'binary') throw oneAlone();
    return parseBatch(input, mode === 'batch' ? parseCloudEvent : parseDraft);
  },
};

/** Whether what was sent is many events. */
export function isBatch(body: Draft | Batch): body is Batch {
  return 'drafts' in body;
}

function batchOf<T extends z.ZodType>(schema: T) {
  return z.array(schema).min(1).max(maxBatchDrafts);
}

function readBatch(body: RawBody, headers: IncomingHttpHeaders): unknown {
  const elements = parseJsonElements(textOf(body, headers['content-type'], [cloudEventBatchType]), maxBatchDrafts);
  // So many are refused as a whole; to look at each of a million first would keep everybody else waiting.
  if (Array.isArray(elements) && elements.length > maxBatchDrafts) return elements;
  // In a body no larger than that no event is.
  if (body.kind === 'bytes' && body.bytes.length > usualBodyBytes && Array.isArray(elements))
    for (const [i, element] of elements.entries())
      if (!(element instanceof Fault) && Buffer.byteLength(JSON.stringify(element)) > usualBodyBytes)
        elements[i] = tooLarge(i);
  return elements;
}

/** Each element by itself; one that cannot be stored has a Fault in its place already, or gets one. */
function parseBatch(input: unknown, parse: (element: unknown, place: Place) => Parsed<Draft>): Parsed<Batch> {
  if (!Array.isArray(input)) throw noList();
  if (input.length === 0) throw noEvents();
  if (input.length > maxBatchDrafts) throw tooMany(input.length);
  const refused = new Map<number, Fault>();
  const warnings = new Map<number, readonly Warning[]>();
  const drafts = input.map((element: unknown, i): Draft | null => {
    try {
      if (element instanceof Fault) throw element;
      const parsed = parse(element, (pointer) => `/${i}${pointer}`);
      if (parsed.warnings.length > 0) warnings.set(i, parsed.warnings);
      return parsed.value;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      refused.set(i, error);
      return null;
    }
  });
  return { value: { drafts, refused, warnings }, warnings: [] };
}

function noList(): Fault {
  return new Fault('invalid', 'The batch must be a JSON list of events.', {
    mistakes: [{ pointer: '', detail: 'must be a list of events' }],
    hint: 'A single event is published with POST /events.',
  });
}

function noEvents(): Fault {
  return new Fault('invalid', 'The batch is empty; there is nothing to publish.', {
    mistakes: [{ pointer: '', detail: 'must have at least one event' }],
  });
}

function tooMany(count: number): Fault {
  return new Fault('too-large', `The batch has ${count} events; ${maxBatchDrafts} are the limit. None was stored.`, {
    hint: 'Send several smaller batches.',
  });
}

function tooLarge(index: number): Fault {
  const detail = `is larger than ${usualBodyBytes / 1024} KiB, which is the limit for one event`;
  return new Fault('too-large', `The event /${index} ${detail}.`, {
    mistakes: [{ pointer: `/${index}`, detail }],
    hint: 'Store large data elsewhere and send a reference to it in details.',
  });
}

function oneAlone(): Fault {
  return new Fault('invalid', 'A CloudEvent whose attributes are headers is one event, and no batch.', {
    hint: `Publish it with POST /events, or send a list of CloudEvents as ${cloudEventBatchType}.`,
  });
}
