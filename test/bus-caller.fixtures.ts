import assert from 'node:assert/strict';
import { z } from 'zod';
import type { BusProcess } from './bus-server.fixtures.ts';

type Json = Parameters<typeof z.fromJSONSchema>[0];

// biome-ignore lint/suspicious/noExplicitAny: a test reads what came over the wire and asserts on it
export type Wire = any;

export type Reply = { status: number; headers: Headers; body: Wire };

/** Calls a bus over HTTP, and holds each answer against the OpenAPI document that this bus serves. */
export type Caller = {
  get(path: string, headers?: Record<string, string>): Promise<Reply>;
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  patch(path: string, body: unknown): Promise<Reply>;
  delete(path: string): Promise<Reply>;
  /** Publishes what must succeed, as an agent of the name `A` unless it says otherwise. */
  publish(draft: Record<string, unknown>): Promise<Wire>;
};

export async function callerOf({ url }: BusProcess): Promise<Caller> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Wire;
  const conforms = conformance(document);
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const sent = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(url + path, { method, body: sent, headers: { ...type, ...headers } });
    const reply = { status: response.status, headers: response.headers, body: (await response.json()) as Wire };
    conforms(method, path, reply);
    return reply;
  };
  return {
    get: (path, headers) => call('GET', path, undefined, headers),
    post: (path, body, headers) => call('POST', path, body, headers),
    patch: (path, body) => call('PATCH', path, body),
    delete: (path) => call('DELETE', path),
    async publish(draft) {
      const { status, body } = await call('POST', '/events', { source_agent: 'A', action: 'happened', ...draft });
      assert.equal(status, 201, JSON.stringify(body));
      return body;
    },
  };
}

type Conforms = (method: string, path: string, reply: Reply) => void;

/** Finds the operation a call meant, and the schema of the answer it got; both must be in the document. */
export function conformance(document: Wire): Conforms {
  const $defs = inDefs(document.components.schemas);
  const compiled = new Map<string, z.ZodType>();
  const matchers = Object.keys(document.paths)
    .map((path) => ({ path, matches: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+?')}$`) }))
    .sort((a, b) => literal(b.path) - literal(a.path));
  return (method, path, { status, headers, body }) => {
    const [pathname] = path.split('?', 1) as [string];
    const found = matchers.find((one) => one.matches.test(pathname));
    const operation = document.paths[found?.path ?? '']?.[method.toLowerCase()];
    if (operation === undefined) return; // A test of what is not there.
    const where = `${method} ${found?.path} → ${status}`;
    const type = (headers.get('content-type') ?? '').split(';')[0] as string;
    const media = operation.responses[status]?.content[type];
    assert.ok(media, `${where} is not in the OpenAPI document`);
    const key = `${method} ${found?.path} ${status} ${type}`;
    const schema = compiled.get(key) ?? z.fromJSONSchema({ ...inDefs(media.schema), $defs } as Json);
    compiled.set(key, schema);
    const result = schema.safeParse(body);
    assert.ok(
      result.success,
      `${where} is not as the document says: ${result.error?.message} in ${JSON.stringify(body)}`,
    );
  };
}

function literal(path: string): number {
  return path.replace(/\{\w+\}/g, '').length;
}

/** A schema of the document as Zod checks it. */
export function schemaIn(document: Wire, schema: Wire): z.ZodType {
  return z.fromJSONSchema({ ...inDefs(schema), $defs: inDefs(document.components.schemas) } as Json);
}

/** References as Zod reads them; and here, unlike for readers, a member that the document does not name is a mistake. */
function inDefs(node: Wire): Wire {
  return closed(JSON.parse(JSON.stringify(node).replaceAll('#/components/schemas/', '#/$defs/')));
}

function closed(node: Wire): Wire {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== 'object' || node === null) return node;
  const members = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  const isObject = node.type === 'object' && typeof node.properties === 'object';
  return isObject && node.additionalProperties === undefined ? { ...members, additionalProperties: false } : members;
}
