import { z } from 'zod';
import { Fault, type Mistake } from '../base/fault.ts';
import { describe, escapePointer } from '../base/json.ts';
import type { Draft } from './draft.ts';
import type { Event } from './event.ts';
import { type Parsed, type Place, parseDraft, type Warning } from './parse.ts';

/** One CloudEvent as JSON, and a list of them (the JSON format and the JSON batch format of CloudEvents 1.0). */
export const cloudEventType = 'application/cloudevents+json';
export const cloudEventBatchType = 'application/cloudevents-batch+json';

const maxWarnings = 20;
const sourcePrefix = '/agents/';
const rfc3339Time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;
const jsonType = /^(application|text)\/([\w.+-]+\+)?json\s*(;.*)?$/i;

/** Whether data of this type is JSON. */
export function isJsonType(mediaType: string): boolean {
  return jsonType.test(mediaType.trim());
}

type Kind = 'text' | 'flag' | 'number' | 'list';

/** What is carried as an extension, by its name there. A name of CloudEvents has small letters and digits only. */
const extensions: Readonly<Record<string, readonly [field: keyof Draft, kind: Kind]>> = {
  correlationid: ['correlation_id', 'text'],
  causationid: ['causation_id', 'text'],
  traceparent: ['traceparent', 'text'],
  workflowid: ['source_workflow_id', 'text'],
  executionid: ['source_execution_id', 'text'],
  tags: ['tags', 'list'],
  deliverat: ['deliver_at', 'text'],
  requireshuman: ['requires_human', 'flag'],
  humanquestion: ['human_question', 'text'],
  humanoptions: ['human_options', 'list'],
  humantimeoutminutes: ['human_timeout_minutes', 'number'],
  humanfallback: ['human_fallback', 'text'],
  freetext: ['free_text', 'flag'],
  answerers: ['answerers', 'list'],
  payloadhash: ['payload_hash', 'text'],
};

const attributes: Readonly<Record<string, string>> = {
  source_agent: 'source',
  action: 'type',
  target: 'subject',
  details: 'data',
  ...Object.fromEntries(Object.entries(extensions).map(([name, [field]]) => [field, name])),
};

const text = z.string().optional();
const listHelp = 'Separated by commas; as the text of a JSON list where an entry has a comma in it';

/** A CloudEvent as it is read, and as far as the bus keeps it also as it may be sent. */
export const cloudEventSchema = z
  .object({
    specversion: z.literal('1.0'),
    id: z.string().meta({ description: 'The event’s id; unique in the whole log, not only for its source' }),
    source: z.string().meta({ description: '/agents/NAME, percent-encoded', examples: ['/agents/HEPHAESTUS'] }),
    type: z.string().meta({ description: 'The action', examples: ['deploy_started'] }),
    subject: text.meta({ description: 'The target' }),
    time: text.meta({ description: 'When the bus stored it; what a sender says is not kept', format: 'date-time' }),
    datacontenttype: text.meta({ description: 'JSON, where there is data' }),
    data: z.record(z.string(), z.unknown()).optional().meta({ description: 'The details: a JSON object' }),
    correlationid: text,
    causationid: text,
    traceparent: text,
    workflowid: text,
    executionid: text,
    tags: text.meta({ description: listHelp }),
    deliverat: text,
    requireshuman: z.boolean().optional().meta({ description: 'A person must decide' }),
    humanquestion: text,
    humanoptions: text.meta({ description: listHelp }),
    humantimeoutminutes: z.union([z.number(), z.string()]).optional(),
    humanfallback: text,
    freetext: z.boolean().optional(),
    answerers: text.meta({ description: listHelp }),
    payloadhash: text,
    humanstate: text.meta({ description: 'Only read: open, answered, timed_out or cancelled' }),
    humanresponse: text.meta({ description: 'Only read: the answer' }),
    bookmark: text.meta({ description: 'Only read: its place in the log, opaque' }),
  })
  .meta({ id: 'CloudEvent', description: 'An event as a CloudEvent 1.0 in JSON' });

export type CloudEvent = z.infer<typeof cloudEventSchema>;

/**
 * Parses a CloudEvent as a publish. In HTTP headers every value is a text, so a text that says a number or a truth value
 * is one. `place`: where an attribute lies in what was sent, given as a pointer into the JSON form.
 * @throws Fault `invalid` with every mistake
 */
export function parseCloudEvent(input: unknown, place: Place = (pointer) => pointer): Parsed<Draft> {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new Fault('invalid', 'The CloudEvent must be a JSON object.', {
      mistakes: [{ pointer: place(''), detail: 'must be a JSON object' }],
    });
  const mistakes: Mistake[] = [];
  const warnings: Warning[] = [];
  const draft = fieldsOf(input as Record<string, unknown>, {
    refuse: (name, detail) => mistakes.push({ pointer: place(`/${name}`), detail }),
    warn: (name, detail) => warnings.push({ pointer: place(`/${escapePointer(name)}`), detail }),
  });
  try {
    const parsed = parseDraft(draft, (pointer) => place(asAttribute(pointer)));
    warnings.push(...parsed.warnings);
    if (mistakes.length === 0) return { value: parsed.value, warnings: warnings.slice(0, maxWarnings) };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'invalid') throw error;
    const known = new Set(mistakes.map(({ pointer }) => pointer));
    mistakes.push(...error.mistakes.filter(({ pointer }) => !known.has(pointer)));
  }
  throw new Fault('invalid', `The CloudEvent makes no sense: ${describe(mistakes)}.`, { mistakes });
}

type Remarks = Record<'refuse' | 'warn', (name: string, detail: string) => void>;

function fieldsOf(input: Readonly<Record<string, unknown>>, { refuse, warn }: Remarks): Record<string, unknown> {
  const draft: Record<string, unknown> = {};
  for (const name of ['specversion', 'id', 'source', 'type'])
    if ((input[name] ?? undefined) === undefined) refuse(name, 'is missing');
  for (const [name, value] of Object.entries(input)) {
    if (value === null || value === undefined) continue;
    const take = core.get(name);
    const extension = Object.hasOwn(extensions, name) ? extensions[name] : undefined;
    if (take !== undefined) take(value, draft, { refuse, warn });
    else if (extension === undefined) warn(name, 'is no attribute that the bus keeps and was ignored');
    else {
      const [field, kind] = extension;
      const said = meant[kind](value);
      if (said === undefined) refuse(name, wanted[kind]);
      else draft[field] = said;
    }
  }
  return draft;
}

type Take = (value: unknown, draft: Record<string, unknown>, remarks: Remarks) => void;

const core = new Map<string, Take>([
  [
    'specversion',
    (value, _draft, { refuse }) => {
      if (value !== '1.0') refuse('specversion', 'must be "1.0", the only version that is understood');
    },
  ],
  ['id', (value, draft) => Object.assign(draft, { id: value })],
  ['type', (value, draft) => Object.assign(draft, { action: value })],
  ['subject', (value, draft) => Object.assign(draft, { target: value })],
  [
    'source',
    (value, draft, { refuse }) => {
      const agent = agentIn(value);
      if (agent === undefined) refuse('source', 'must be /agents/NAME: the bus knows no other sources');
      else draft.source_agent = agent;
    },
  ],
  [
    'time',
    (value, _draft, { refuse }) => {
      if (typeof value !== 'string' || !rfc3339Time.test(value)) refuse('time', 'must be an RFC 3339 time');
    },
  ],
  [
    'datacontenttype',
    (value, _draft, { refuse }) => {
      if (typeof value !== 'string' || !isJsonType(value))
        refuse('datacontenttype', 'must be JSON, because the bus keeps nothing else');
    },
  ],
  ['dataschema', (_value, _draft, { warn }) => warn('dataschema', 'is not kept')],
  [
    'data',
    (value, draft, { refuse }) => {
      if (typeof value !== 'object' || Array.isArray(value))
        refuse('data', 'must be a JSON object; put another value below a key of one');
      else draft.details = value;
    },
  ],
  [
    'data_base64',
    (_value, _draft, { refuse }) => refuse('data_base64', 'is not taken: send data as a JSON object instead'),
  ],
]);

/** The agent that a source names, or undefined. */
function agentIn(source: unknown): string | undefined {
  const encoded = typeof source === 'string' ? /^\/agents\/([^/?#]+)$/.exec(source)?.[1] : undefined;
  try {
    return encoded && decodeURIComponent(encoded);
  } catch {
    return undefined; // A percent sign that encodes nothing: no name of an agent.
  }
}

/** What an extension's value means, or undefined when it is none of its kind. */
const meant: Readonly<Record<Kind, (value: unknown) => unknown>> = {
  text: (value) => (typeof value === 'object' ? undefined : String(value)),
  flag: (value) => ({ true: true, false: false })[String(value)],
  number: (value) => (/^\d+(\.\d+)?$/.test(String(value)) ? Number(value) : undefined),
  list: (value) => (typeof value === 'string' ? listIn(value) : undefined),
};

const wanted: Readonly<Record<Kind, string>> = {
  text: 'must be a string',
  flag: 'must be true or false',
  number: 'must be a number',
  list: 'must be a text: its entries separated by commas, or a JSON list',
};

function listIn(value: string): unknown {
  if (!value.startsWith('[')) {
    const entries = value.split(',').map((entry) => entry.trim());
    return entries.filter((entry) => entry !== '');
  }
  try {
    return JSON.parse(value);
  } catch {
    return undefined; // The caller says what it must be.
  }
}

function listText(entries: readonly string[]): string {
  const isPlain = entries.every((entry) => entry !== '' && entry === entry.trim() && !/^\[|,/.test(entry));
  return isPlain ? entries.join(',') : JSON.stringify(entries);
}

/** A pointer into our form as one into that of CloudEvents. */
function asAttribute(pointer: string): string {
  if (pointer === '') return pointer;
  const [empty, field = '', ...below] = pointer.split('/');
  const name = Object.hasOwn(attributes, field) ? (attributes[field] as string) : field;
  return [empty, name, ...below].join('/');
}

/** An event as a CloudEvent 1.0 in JSON. What it has not is left out. */
export function cloudEventOf(event: Event): CloudEvent {
  const cloudEvent: Record<string, unknown> = {
    specversion: '1.0',
    id: event.id,
    source: sourcePrefix + encodeURIComponent(event.source_agent),
    type: event.action,
    time: event.timestamp,
    bookmark: event.bookmark,
  };
  if (event.target) cloudEvent.subject = event.target;
  for (const [name, [field, kind]] of Object.entries(extensions)) {
    const value = (event as Partial<Record<keyof Draft, unknown>>)[field];
    if (value === null || value === undefined || value === false || value === '') continue;
    // CloudEvents know whole numbers only.
    if (kind === 'number') cloudEvent[name] = Number.isInteger(value) ? value : String(value);
    else if (kind !== 'list') cloudEvent[name] = value;
    else if ((value as string[]).length > 0) cloudEvent[name] = listText(value as string[]);
  }
  if (event.human_state !== null) cloudEvent.humanstate = event.human_state;
  if (event.human_response !== null) cloudEvent.humanresponse = event.human_response;
  if (event.details !== null) Object.assign(cloudEvent, { datacontenttype: 'application/json', data: event.details });
  return cloudEvent as CloudEvent;
}
