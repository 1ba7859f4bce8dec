import { z } from 'zod';
import type { FaultCode } from '../base/fault.ts';
import { problemMediaType, statusOf } from './problem.ts';
import { problemSchema } from './problem-schema.ts';
import type { Outcome, Route } from './route.ts';

/** A JSON Schema of draft 2020-12, as OpenAPI 3.1 takes it. */
export type Schema = { [key: string]: unknown };

export type Parameter = {
  name: string;
  in: 'path' | 'query' | 'header';
  required: boolean;
  description: string;
  schema: Schema;
};

export type Operation = {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  parameters: Parameter[];
  security?: Record<string, string[]>[];
  requestBody?: { required: boolean; content: Record<string, { schema: Schema; example: object }> };
  responses: Record<string, Response>;
};

export type Response = {
  description: string;
  headers?: Record<string, { description: string; schema: Schema }>;
  content: Record<string, { schema: Schema }>;
};

export type OpenApi = {
  openapi: '3.1.0';
  info: { title: string; version: string; description: string; license: { name: string; identifier: string } };
  servers: { url: string }[];
  /** Empty: nobody has to sign in. */
  security: readonly Record<string, string[]>[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: Record<string, Schema> };
};

const description = `Agents publish facts and react to facts; people are asked and answer through the same bus. Bodies are JSON in UTF-8 of at most 256 KiB. Times are RFC 3339 in UTC. Every error is application/problem+json with a sentence in detail; fields and parameters that the bus does not know are ignored and listed in warnings. Beside what each call lists, HTTP itself can answer 405 (the path does not know the method; see Allow), 408, 417 and 431, and a fault of the bus 500. 429, 503 and 507 come with Retry-After where trying again helps.`;

const tags = [
  { name: 'Events', description: 'Publish and read.' },
  { name: 'Questions', description: 'Ask a person, answer, take back.' },
  { name: 'Agents', description: 'What an agent heard and has taken note of.' },
  { name: 'Deliveries', description: 'Claim under a lease, settle, and what could not be delivered.' },
  { name: 'Subscriptions', description: 'Who hears what.' },
  { name: 'Capabilities', description: 'What the agents can do, and what came of it.' },
  { name: 'Audit', description: 'What can be proven of the log, and what is kept of it.' },
  { name: 'The bus', description: 'Its health and its description.' },
];

/** What every call can answer, and what a call with a body can besides. */
const always: FaultCode[] = ['malformed', 'unauthorized', 'forbidden', 'invalid', 'rate-limited', 'unavailable'];
const withBody: FaultCode[] = ['too-large', 'unsupported-media-type'];
const writing: FaultCode[] = ['storage-full', 'queue-full'];

const refusals: Record<number, string> = {
  400: 'The request cannot be read, or the event asks nothing',
  401: 'A token is needed, or the one given is wrong, expired or revoked',
  403: 'Not allowed; needs says which scope is missing',
  404: 'There is no such thing',
  409: 'In conflict with what is stored, or somebody was first',
  410: 'The bookmark is from another life of the log',
  413: 'The body is too large',
  415: 'The body is not announced as JSON',
  422: 'The request makes no sense; errors says where',
  429: 'Too many at once, or the token’s own limit; see Retry-After',
  503: 'Not available now',
  507: 'No room on the disk',
};

/** Assembles the document from the very schemas that validate and the routes that are served. */
export function openApiOf(routes: readonly Route[], version: string): OpenApi {
  const schemas: Record<string, Schema> = {};
  const refer = (schema: z.ZodType, io: 'input' | 'output') => hoist(schema, io, schemas);
  const problem = refer(problemSchema, 'output');
  const paths: OpenApi['paths'] = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    paths[route.path] = path;
    path[route.method.toLowerCase()] = operationOf(route, refer, problem);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'LeverEdge event bus',
      version,
      description,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [],
    tags,
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'A token of `leveredge token create`; see docs/security.md',
        },
      },
    },
  };
}

/** What a token must allow, for whoever reads the description. */
function needsOf({ needs }: Route): string {
  return needs === null
    ? 'Needs no token.'
    : `Needs a token with ${needs === 'ack' ? 'ack:self' : needs}, where tokens are required.`;
}

type Refer = (schema: z.ZodType, io: 'input' | 'output') => Schema;

function operationOf(route: Route, refer: Refer, problem: Schema): Operation {
  const responses: Operation['responses'] = {};
  for (const [status, outcome] of Object.entries(route.answers))
    responses[status] = {
      description: outcome.description,
      ...responseHeaders(status, outcome),
      content: contentOf(outcome, refer),
    };
  for (const status of refusedWith(route))
    responses[status] = {
      description: refusals[status] ?? 'Refused',
      content: { [problemMediaType]: { schema: problem } },
    };
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, needsOf(route)].filter((text) => text !== '').join('\n\n'),
    // The empty one: on loopback a bus may let callers in without.
    security: route.needs === null ? [{}] : [{ token: [route.needs] }, {}],
    parameters: [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)],
    ...(route.body ? { requestBody: { required: !route.body.isOptional, content: sentAs(route.body, refer) } } : {}),
    responses,
  };
}

function sentAs(body: NonNullable<Route['body']>, refer: Refer): Record<string, { schema: Schema; example: object }> {
  const shapes = { 'application/json': body, ...body.accepts };
  return Object.fromEntries(
    Object.entries(shapes).map(([type, { schema, example }]) => [type, { schema: refer(schema, 'input'), example }]),
  );
}

function contentOf(outcome: Outcome, refer: Refer): Record<string, { schema: Schema }> {
  if (!('schema' in outcome))
    return {
      [outcome.contentType]: { schema: { type: outcome.contentType === 'application/json' ? 'object' : 'string' } },
    };
  const shapes = { 'application/json': outcome.schema, ...outcome.also };
  return Object.fromEntries(Object.entries(shapes).map(([type, shape]) => [type, { schema: refer(shape, 'output') }]));
}

function responseHeaders(status: string, outcome: Outcome): Pick<Response, 'headers'> {
  const told = {
    ...(status === '201' || status === '302' ? { Location: 'Where it is' } : {}),
    ...('headers' in outcome ? outcome.headers : {}),
  };
  const headers = Object.entries(told).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ]);
  return headers.length === 0 ? {} : { headers: Object.fromEntries(headers) };
}

function refusedWith(route: Route): number[] {
  const codes = [
    ...always,
    ...(route.body ? withBody : []),
    ...(route.method === 'GET' ? [] : writing),
    ...route.faults,
  ];
  return [...new Set(codes.map(statusOf))].sort((a, b) => a - b);
}

function pathParameters(route: Route): Parameter[] {
  return Object.entries(route.params).map(([name, description]) => ({
    name,
    in: 'path',
    required: true,
    description,
    schema: { type: 'string' },
  }));
}

function headerParameters({ headers }: Route): Parameter[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: Route): Parameter[] {
  const schema = z.toJSONSchema(route.query, { io: 'output', unrepresentable: 'any' });
  return Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const { description = '', ...rest } = property as Schema & { description?: string };
    const required = (schema.required ?? []).includes(name) && rest.default === undefined;
    return { name, in: 'query', required, description, schema: rest };
  });
}

/** The schema with everything that has an id moved into the components and referred to there. */
function hoist(schema: z.ZodType, io: 'input' | 'output', components: Record<string, Schema>): Schema {
  const { $schema, $defs, ...own } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  for (const [id, definition] of Object.entries($defs ?? {}))
    if (components[id] === undefined) components[id] = adapt(definition) as Schema;
  return adapt(own) as Schema;
}

/** References point into the components; objects stay open, because readers must expect members to be added. */
function adapt(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(adapt);
  if (typeof node !== 'object' || node === null) return node;
  const adapted: Schema = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === 'additionalProperties' && value === false) continue;
    if (key === 'id' && typeof value === 'string') continue;
    if (key === '$ref') adapted.$ref = String(value).replace('#/$defs/', '#/components/schemas/');
    else adapted[key] = adapt(value);
  }
  return adapted;
}
