import { z } from 'zod';
import type { Capability } from '../events/capability.ts';

const eventLine = z.object({
  id: z.string(),
  timestamp: z.string(),
  source_agent: z.string(),
  action: z.string(),
  target: z.string().nullable(),
  status: z.string(),
});

const question = z.object({
  id: z.string(),
  asked_by: z.string(),
  question: z.string(),
  options: z.array(z.string()),
  timeout_at: z.string().nullable(),
  fallback: z.string().nullable(),
  is_approval: z.boolean().describe('Only a person with a token may answer it'),
});

const count = z.int('must be a whole number').min(1, 'must be at least 1').max(200, 'must be at most 200');
const text = z.string('must be a string').min(1, 'must not be empty').max(200, 'must be at most 200 characters');
/** As the answer to a question may be. */
const long = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(4000, 'must be at most 4000 characters')
  .refine((value) => !value.includes('\0'), 'must not contain NUL');

/** What ATLAS offers. */
export const atlasCapabilities: readonly Capability[] = [
  {
    name: 'atlas.status',
    summary: 'Say how the whole is doing',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({}),
    output: z.object({
      status: z.string(),
      version: z.string(),
      uptime_seconds: z.number(),
      events: z.number().describe('How many there ever were'),
      open_questions: z.number(),
      open_deliveries: z.number(),
      dead_letters: z.number(),
      failures: z.array(eventLine).describe('What failed lately, the newest first'),
    }),
    phrases: [
      'check|show system health|status',
      'check|show health|status',
      'system health|status',
      'health',
      'what failed [lately|recently]',
      'what is wrong',
      'how is everything|system [going]',
      'what is [system] status|health',
      'is everything ok|okay|fine|well|healthy',
    ],
    example: {},
    columns: ['timestamp', 'source_agent', 'action', 'target'],
    withoutBus: 'leveredge doctor',
  },
  {
    name: 'atlas.agents',
    summary: 'List the agents: who is alive, who is lost, and what waits for each',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({}),
    output: z.object({
      agents: z.array(
        z.object({
          agent: z.string(),
          state: z.string().describe('alive, lost, stopped or never_heard_of; unknown without a bus'),
          last_heartbeat_at: z.string().nullable(),
          waiting: z.number().describe('Deliveries that wait for it'),
          dead_letters: z.number(),
          offers: z.array(z.string()).describe('What it can do for others'),
        }),
      ),
    }),
    phrases: ['list|show agents', 'who|which is alive|there|running|lost', 'which agents are alive|there|running|lost'],
    example: {},
    columns: ['agent', 'state', 'last_heartbeat_at', 'waiting', 'offers'],
    withoutBus: 'leveredge subscriptions',
  },
  {
    name: 'atlas.pending',
    summary: 'List the questions that wait for a person',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({ limit: count.default(50) }),
    output: z.object({ pending: z.array(question) }),
    phrases: [
      'what is pending|open|waiting',
      'what waits [for]',
      'which|what questions are open|pending|waiting',
      'list|show [open|pending] questions',
      'open|pending questions',
      'show pending',
    ],
    example: {},
    columns: ['id', 'asked_by', 'question', 'options', 'timeout_at'],
    withoutBus: 'leveredge pending',
  },
  {
    name: 'atlas.respond',
    summary: 'Answer a question, in your own name',
    risk: 'write',
    doneBy: 'bus',
    input: z.strictObject({
      question: text.describe('The question, by its id or the beginning of it'),
      answer: long.describe('The answer, word for word as an option has it'),
      reason: long.optional().describe('Why, for who reads it later'),
      payload_hash: text.optional().describe('Of an approval: the hash of what was shown'),
    }),
    output: z.object({
      question: z.string(),
      answer: z.string(),
      responded_by: z.string(),
      responded_via: z.string(),
      responded_at: z.string(),
    }),
    example: { question: '01a204e2-9e86-7000-aae8-730529ce6554', answer: 'yes' },
    phrases: ['answer {question} {answer…}', 'respond|reply [to] {question} {answer…}'],
  },
  {
    name: 'atlas.events',
    summary: 'List what happened, the newest first',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({
      limit: count.default(20),
      action: text.optional(),
      source: text.optional().describe('Who said it'),
    }),
    output: z.object({ events: z.array(eventLine) }),
    phrases: [
      'show|list [last|latest|newest] {limit} events',
      'last|latest|newest {limit} events',
      'show|list [last|latest|newest|recent] events',
      'last|latest|newest|recent events',
      'what happened [lately|recently]',
      'show|list events of|from|by {source}',
      'show|list [last|latest|newest] {limit} events of|from|by {source}',
      'events of|from|by {source}',
      'what did {source} do|say',
      'show|list events called|named {action}',
    ],
    example: { limit: 5 },
    columns: ['timestamp', 'id', 'source_agent', 'action', 'target', 'status'],
    withoutBus: 'leveredge events',
  },
  {
    name: 'atlas.trace',
    summary: 'Tell what led to an event and what followed from it',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({ event: text.describe('By its id or the beginning of it') }),
    output: z.object({
      matter: z.string().describe('The event that began it'),
      trace: z.array(
        eventLine.extend({
          depth: z.number().describe('How many causes up to the first event'),
          says: z.string().nullable(),
        }),
      ),
      is_whole: z.boolean().describe('false when there were more events than are looked through'),
    }),
    columns: ['timestamp', 'source_agent', 'action', 'target', 'says'],
    withoutBus: 'leveredge events',
    phrases: [
      'what happened after {event}',
      'what followed [from] {event}',
      'what came of {event}',
      'what led to {event}',
      'why did {event} happen',
    ],
    example: { event: '01a204e2-9e86-7000-aae8-730529ce6554' },
  },
  {
    name: 'atlas.route',
    summary: 'Tell which call a sentence is, and make none',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({
      sentence: z.string('must be a string').min(1, 'must not be empty').max(5000, 'must be at most 5000 characters'),
    }),
    output: z.object({
      capability: z.string().nullable().describe('null where nothing is to be called'),
      arguments: z.record(z.string(), z.union([z.string(), z.number()])).nullable(),
      says: z.string().describe('The call in one line, or why there is none'),
      nearest: z.array(z.object({ phrase: z.string(), capability: z.string() })).describe('How it may have been meant'),
    }),
    example: { sentence: 'roll dev back' },
    columns: ['phrase', 'capability'],
    phrases: ['route {sentence…}'],
  },
];
