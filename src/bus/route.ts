import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { FaultCode } from '../base/fault.ts';
import type { Parsed } from '../events/parse.ts';
import { parseAs } from '../events/parse.ts';
import type { Principal, ScopeKind } from '../events/principal.ts';
import type { RawBody } from './body.ts';
import type { Outlet } from './streams/outlet.ts';

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

/** What a handler is asked: all of it parsed. */
export type Ask<Q, B> = {
  /** The path's parameters, decoded. */
  params: Readonly<Record<string, string>>;
  query: Q;
  body: B;
  /** The body as it arrived; empty where the call takes none. */
  raw: Buffer;
  /** Names in small letters. */
  headers: IncomingHttpHeaders;
  principal: Principal;
  /** Aborts when the connection breaks. The caller's merely having ended its sending is no break. */
  gone(): AbortSignal;
  /** Whether the caller has ended its sending, as one does that went away for good (and `nc -N`, which still reads). */
  left(): boolean;
};

/** What a handler answers: an object, sent as JSON, or a text of a type of its own. */
export type Answer =
  | {
      status: number;
      body: object;
      location?: string;
      headers?: Readonly<Record<string, string>>;
      /** Called, at most once, when the answer could not be handed over whole. */
      unsent?: () => Promise<unknown>;
    }
  /** JSON in the form of another standard, in which warnings have no place. */
  | { status: number; body: object; mediaType: string; headers?: Readonly<Record<string, string>> }
  | { status: number; text: string; contentType: string; headers?: Readonly<Record<string, string>> }
  /** Server-sent events, until either side ends it. Called once the head of the answer is written, not for HEAD. */
  | { stream(outlet: Outlet): void };

export type BodyShape<B> = {
  schema: z.ZodType;
  parse(input: unknown, headers: IncomingHttpHeaders): Parsed<B>;
  example: object;
  /** Media types beside JSON that it takes; their bytes are JSON all the same. */
  accepts?: Readonly<Record<string, { schema: z.ZodType; example: object }>>;
  /** Makes of the bytes what `parse` is given, where that is not simply their JSON. */
  read?(body: RawBody, headers: IncomingHttpHeaders): unknown;
  /** An empty body is then an empty object. */
  isOptional?: true;
  /** Bytes; the usual limit when left out. */
  maxBytes?: number | ((headers: IncomingHttpHeaders) => number);
};

/**
 * An answer as the OpenAPI document describes it. Without a schema it is a text of this type. `also`: what else it can
 * be, by media type, for those who ask for it with Accept. `headers`: what each of its headers says.
 */
export type Outcome =
  | {
      description: string;
      schema: z.ZodType;
      also?: Readonly<Record<string, z.ZodType>>;
      headers?: Readonly<Record<string, string>>;
    }
  | { description: string; contentType: string };

/** One call of the API: how it is described, what it takes, and what it does. */
export type Route = {
  method: Method;
  /** As OpenAPI writes it: `/events/{id}:cancel`. */
  path: string;
  operationId: string;
  tag: string;
  /** What a token must allow; null for what everybody may. */
  needs: ScopeKind | null;
  summary: string;
  description: string;
  /** What each parameter in the path means. */
  params: Readonly<Record<string, string>>;
  query: z.ZodObject;
  /** Request headers that mean something to this call, and what. */
  headers: Readonly<Record<string, string>>;
  body: BodyShape<unknown> | undefined;
  /** By HTTP status. */
  answers: Readonly<Record<number, Outcome>>;
  /** What it can refuse beyond what every call can. */
  faults: readonly FaultCode[];
  handle(ask: Ask<unknown, unknown>): Answer | Promise<Answer>;
};

const noQuery = z.object({});

type Declared<Q extends z.ZodObject, B> = Pick<Route, 'method' | 'path' | 'operationId' | 'tag' | 'needs' | 'summary'> &
  Partial<Pick<Route, 'description' | 'params' | 'headers' | 'faults'>> & {
    answers: Route['answers'];
    query?: Q;
    body?: BodyShape<B>;
    handle(ask: Ask<z.infer<Q>, B>): Answer | Promise<Answer>;
  };

/** Declares a call; the handler's types follow from the schemas. */
export function route<Q extends z.ZodObject = typeof noQuery, B = undefined>(declared: Declared<Q, B>): Route {
  return {
    description: '',
    params: {},
    headers: {},
    faults: [],
    ...declared,
    query: declared.query ?? noQuery,
    body: declared.body as BodyShape<unknown> | undefined,
    handle: declared.handle as Route['handle'],
  };
}

/** A body that one schema says all about. */
export function bodyOf<S extends z.ZodObject>(schema: S, what: string, example: object): BodyShape<z.infer<S>> {
  return { schema, parse: (input) => parseAs(schema, input, what), example };
}
