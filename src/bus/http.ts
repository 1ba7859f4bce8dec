import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { Fault, reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Warning } from '../events/parse.ts';
import type { Principal } from '../events/principal.ts';
import { bodyReader, jsonOf, type RawBody, usualBodyBytes } from './body.ts';
import type { Gate } from './gate.ts';
import type { Guard } from './guard.ts';
import { keyHeader } from './idempotency.ts';
import type { Metrics } from './metrics.ts';
import { requireOwn } from './permission.ts';
import { type Problem, plainProblem, problemMediaType, problemOf, problemOfThrown } from './problem.ts';
import { parseQuery, type RawQuery, splitQuery } from './query.ts';
import { quoted } from './refusals.ts';
import type { Answer, Route } from './route.ts';
import { comment } from './streams/frames.ts';
import { type Outlet, outletOf } from './streams/outlet.ts';
import { makeTraffic, type Traffic } from './traffic.ts';

/** A slow sender has this long for its headers, and for a whole request. */
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const timeoutCheckMs = 2_000;
/** A connection on which nothing moves, between two requests too; longer than the longest wait for an answer. */
const idleTimeoutMs = 90_000;
const maxConnections = 4096;
const maxHeaderBytes = 16 * 1024;

const jsonType = 'application/json; charset=utf-8';
/** What keeps browsers from guessing a type, keeping a copy, or letting another site embed an answer. */
const hardening = [
  ...['x-content-type-options', 'nosniff'],
  ...['cache-control', 'no-store'],
  ...['cross-origin-resource-policy', 'same-origin'],
];

export type Http = {
  server: FastifyInstance;
  /** Requests that have arrived and whose answer has not gone out. */
  inFlight(): number;
};

/** Assembles the HTTP side. It listens nowhere yet. */
export function makeHttp(routes: readonly Route[], guard: Guard, gate: Gate, log: Log, metrics?: Metrics): Http {
  const traffic = makeTraffic();
  const readBody = bodyReader();
  const server = fastify({
    requestTimeout: requestTimeoutMs,
    connectionTimeout: idleTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    http: {
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: timeoutCheckMs,
      maxHeaderSize: maxHeaderBytes,
      // The guard refuses such a request with a sentence; node would with an empty body.
      requireHostHeader: false,
    },
    // Names are judged by the handlers; the length of the whole request line is bounded by maxHeaderBytes.
    routerOptions: { maxParamLength: maxHeaderBytes, querystringParser: splitQuery },
    clientErrorHandler: (error, socket) => traffic.whenQuiet(socket, () => answerBrokenHttp(error, socket)),
    frameworkErrors: (error, _request, reply) => sendProblem(reply, problemOfThrown(error) ?? internalError()),
  });
  server.server.maxConnections = maxConnections;
  // Off, because idleTimeoutMs does the same without two timers for each request. Set here: the framework takes 0 for unsaid.
  server.server.keepAliveTimeout = 0;
  server.server.on('checkExpectation', refuseExpectation);
  server.server.on('drop', tellDropped(log));
  answerHalfClosed(server.server);
  // Bodies are ours to read: the framework would refuse a Content-Type that it cannot parse, and without a way on.
  for (const method of new Set(routes.map((route) => route.method)))
    server.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  server.addHook('onRequest', (request, reply, done) =>
    traffic.enter(request.raw, reply.raw, () => done(guard(request.headers))),
  );
  const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const problem = problemOfThrown(error);
    if (problem === undefined) log.error('a request failed', { call: callOf(request), reason: stackOf(error) });
    return sendProblem(reply, problem ?? internalError());
  };
  server.setErrorHandler((error, request, reply) => void fail(error, request, reply));
  for (const route of routes) {
    const answer = answererOf(route, traffic, log);
    const admit = gate(route.needs);
    const note = metrics?.requestsOf(route.method, route.path);
    const begin = (request: FastifyRequest, reply: FastifyReply, principal: Principal, body: RawBody | undefined) => {
      const began = performance.now();
      const ended = (status: number) => {
        if (status > 0) note?.(status, (performance.now() - began) / 1000);
      };
      answer(request, reply, principal, body).then(ended, (error) => ended(fail(error, request, reply)));
    };
    const enter = (request: FastifyRequest, reply: FastifyReply, who: Principal) => {
      if (route.body === undefined) {
        begin(request, reply, who, undefined);
        return;
      }
      const { maxBytes = usualBodyBytes } = route.body;
      const most = typeof maxBytes === 'number' ? maxBytes : maxBytes(request.headers);
      readBody(request.raw, most, (body) => begin(request, reply, who, body));
    };
    server.route({
      method: route.method,
      url: fastifyPath(route.path),
      handler(request, reply) {
        const began = performance.now();
        const refuse = (error: unknown) => note?.(fail(error, request, reply), (performance.now() - began) / 1000);
        try {
          const who = admit(request.raw, request.params as Record<string, string>);
          if (who instanceof Promise) who.then((bearer) => enter(request, reply, bearer), refuse);
          else enter(request, reply, who);
        } catch (error) {
          refuse(error);
        }
      },
    });
  }
  const matchers = routes.map(({ path, method }) => ({ method, matches: pathMatcher(path) }));
  server.setNotFoundHandler((request, reply) => sendProblem(reply, notFound(request, matchers)));
  return { server, inFlight: traffic.inFlight };
}

const noWarnings: readonly Warning[] = [];
const noBytes = Buffer.alloc(0);

type Answerer = (
  request: FastifyRequest,
  reply: FastifyReply,
  principal: Principal,
  body: RawBody | undefined,
) => Promise<number>;

/** Parsing at the edge, then the route's own handler, then JSON. */
function answererOf(route: Route, traffic: Traffic, log: Log): Answerer {
  const { body: shape, query: querySchema, handle, needs } = route;
  const hasQuery = Object.keys(querySchema.shape).length > 0;
  const takesKey = Object.keys(route.headers).some((name) => name.toLowerCase() === keyHeader);
  const read = shape?.read ?? jsonIn;
  return async (request, reply, principal, rawBody) => {
    const raw = request.query as RawQuery;
    let query: unknown = raw;
    let warnings = noWarnings;
    if (hasQuery || request.raw.url?.includes('?')) ({ value: query, warnings } = parseQuery(querySchema, raw));
    const params = request.params as Record<string, string>;
    if (needs === 'ack' && principal.kind !== 'anonymous') {
      const agent = params.agent ?? (query as { agent?: string }).agent;
      if (agent !== undefined) requireOwn(principal, agent);
    }
    let body: unknown;
    let bytes: Buffer = noBytes;
    if (shape !== undefined && rawBody !== undefined) {
      const isLeftOut = shape.isOptional && rawBody.kind === 'bytes' && rawBody.bytes.length === 0;
      const parsed = shape.parse(isLeftOut ? {} : read(rawBody, request.headers), request.headers);
      body = parsed.value;
      if (rawBody.kind === 'bytes') bytes = rawBody.bytes;
      if (parsed.warnings.length > 0) warnings = [...warnings, ...parsed.warnings];
    }
    if (!takesKey && request.headers[keyHeader] !== undefined) warnings = [...warnings, noKeyHere];
    const left = () => request.raw.socket.readableEnded;
    const { headers } = request;
    const gone = () => whenGone(reply);
    const answer = await handle({ params, query, body, raw: bytes, headers, principal, gone, left });
    if ('unsent' in answer) tellIfUnsent(reply, answer.unsent, log);
    return sendAnswer(reply, answer, warnings, traffic);
  };
}

/** An answer is handed over when all of it is with the operating system; a connection that closes before took it along. */
function tellIfUnsent(reply: FastifyReply, unsent: (() => Promise<unknown>) | undefined, log: Log): void {
  if (unsent === undefined) return;
  const { raw } = reply;
  const tell = () => {
    if (!raw.writableFinished || raw.statusCode >= 400)
      unsent().catch((error) =>
        log.warn('what was not handed over could not be taken back', { reason: reasonOf(error) }),
      );
  };
  if (raw.destroyed) tell();
  else raw.once('close', tell);
}

/** Answers the status that went out, or 0 for a stream, whose end is nobody's to wait for. */
function sendAnswer(reply: FastifyReply, answer: Answer, warnings: readonly Warning[], traffic: Traffic): number {
  if ('stream' in answer) {
    beginStream(reply, answer.stream, warnings, traffic);
    return 0;
  }
  if ('text' in answer) return send(reply, answer.status, answer.contentType, answer.text, answer.headers);
  const { status, body, headers } = answer;
  const mediaType = 'mediaType' in answer ? answer.mediaType : undefined;
  const text = JSON.stringify(mediaType === undefined && warnings.length > 0 ? { ...body, warnings } : body);
  if (!traffic.mayQueue(reply.request.raw.socket, reply.raw, text.length)) throw tooMuchUnread();
  if (mediaType !== undefined) return send(reply, status, `${mediaType}; charset=utf-8`, text, headers);
  if ('location' in answer) return send(reply, status, jsonType, text, { location: answer.location, ...headers });
  return send(reply, status, jsonType, text, headers);
}

/** What keeps proxies from holding a stream back; and nothing can follow it on its connection. */
const streamHeaders = [
  ...['content-type', 'text/event-stream; charset=utf-8'],
  ...['x-accel-buffering', 'no'],
  ...['connection', 'close'],
  ...hardening,
];

function beginStream(
  reply: FastifyReply,
  begin: (outlet: Outlet) => void,
  warnings: readonly Warning[],
  traffic: Traffic,
): void {
  const { raw: response, request } = reply;
  reply.hijack();
  // The end of the connection is the end of the stream: in chunks each message would take three writes instead of one.
  response.removeHeader('transfer-encoding');
  response.writeHead(200, streamHeaders);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  traffic.endless(request.raw.socket, response);
  const outlet = outletOf(response, request.raw.socket);
  for (const warning of warnings) outlet.write(comment(warning));
  begin(outlet);
}

function jsonIn(body: RawBody, headers: IncomingHttpHeaders): unknown {
  return jsonOf(body, headers['content-type']);
}

/** Whoever sends a key counts on it, so a call that does not know it says so. */
const noKeyHere: Warning = {
  pointer: keyHeader,
  detail: 'means nothing to this call and was ignored; only publishing takes it',
};

function tooMuchUnread(): Fault {
  return new Fault('unavailable', 'Too many large answers wait to be read by those who asked for them.', {
    hint: 'Ask again in a moment, with a smaller limit. Whoever asks for much should read it.',
  });
}

function sendProblem(reply: FastifyReply, { status, headers, body }: Problem): number {
  return send(reply, status, problemMediaType, JSON.stringify(body), headers);
}

/**
 * Writes an answer past the framework, whose own way out costs half of a publish (decision 0006). ASCII goes out as
 * latin1, which node copies without looking at each character.
 */
function send(
  reply: FastifyReply,
  status: number,
  type: string,
  text: string,
  extra?: Readonly<Record<string, string>>,
): number {
  const bytes = Buffer.byteLength(text);
  const headers = ['content-type', type, 'content-length', String(bytes), ...hardening];
  for (const name in extra) headers.push(name, extra[name] as string);
  reply.hijack();
  reply.raw.writeHead(status, headers);
  reply.raw.end(text, bytes === text.length ? 'latin1' : 'utf8');
  return status;
}

/**
 * Lets a sender that has closed only its own direction (`nc -N`, shutdown(SHUT_WR)) read its answer; node hangs up on it
 * otherwise. The price: a waiter that went away for good looks the same and is kept until its time is over. Node has the
 * switch but neither documents nor types it.
 */
function answerHalfClosed(server: Server): void {
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
}

const tellDroppedEveryMs = 10_000;

/** Connections beyond `maxConnections` are reset without a word, so the log has to say it. */
function tellDropped(log: Log): () => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - toldAt < tellDroppedEveryMs) return;
    toldAt = performance.now();
    log.warn('connections are refused: all are taken', { connections: maxConnections });
  };
}

/** Hangs up afterwards, because whether the body still comes is not known. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { status, body } = plainProblem(417, 'The bus meets no expectation but 100-continue; leave out Expect.');
  response.writeHead(status, ['content-type', problemMediaType, 'connection', 'close', ...hardening]);
  response.end(JSON.stringify(body));
}

function whenGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (reply.raw.destroyed) gone.abort();
  else reply.raw.once('close', () => gone.abort());
  return gone.signal;
}

/** `/events/{id}:cancel` as the router writes it: a literal colon doubled, and what follows a parameter needs a pattern (`.` would stop at a line break). */
function fastifyPath(path: string): string {
  return path
    .replaceAll(':', '::')
    .replace(/\{(\w+)\}(?=::)/g, ':$1([^]+)')
    .replace(/\{(\w+)\}/g, ':$1');
}

function pathMatcher(path: string): RegExp {
  const pattern = path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${pattern}/?$`);
}

function notFound(request: FastifyRequest, matchers: readonly { method: string; matches: RegExp }[]): Problem {
  const path = request.url.split('?', 1)[0] as string;
  const allowed = matchers.filter(({ matches }) => matches.test(path)).map(({ method }) => method);
  const methods = [...new Set(allowed)];
  if (
    methods.length > 0 &&
    !methods.includes(request.method) &&
    !(request.method === 'HEAD' && methods.includes('GET'))
  ) {
    const allow = methods.join(', ');
    return plainProblem(405, `${quoted(path)} does not know ${request.method}, only ${allow}.`, { allow });
  }
  return problemOf(
    new Fault('not-found', `The bus has nothing at ${quoted(path)}.`, { hint: 'GET /docs shows every call.' }),
  );
}

function internalError(): Problem {
  return plainProblem(500, 'This is a fault of the bus. Its log says more; please report it.');
}

const brokenHttp: Record<string, [status: number, detail: string]> = {
  HPE_HEADER_OVERFLOW: [431, `The request line and headers are larger than ${maxHeaderBytes / 1024} KiB.`],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
  HPE_INVALID_EOF_STATE: [400, 'The connection ended before the whole request had arrived.'],
};

/**
 * What is not HTTP never reaches a route; it is told so and hung up on, with a moment to read it: closing at once could
 * take the sentence from the sender.
 */
const lingerMs = 1_000;

function answerBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = brokenHttp[error.code ?? ''] ?? [400, 'This is not valid HTTP.'];
  const { body } = plainProblem(status, detail);
  const text = JSON.stringify(body);
  setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.end(
    `HTTP/1.1 ${status} ${String(body.title)}\r\ncontent-type: ${problemMediaType}\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}

function callOf(request: FastifyRequest): string {
  return `${request.method} ${request.routeOptions.url ?? ''}`;
}

const maxStackLines = 6;

function stackOf(error: unknown): string {
  const stack = error instanceof Error ? error.stack : undefined;
  return stack?.split('\n').slice(0, maxStackLines).join(' | ') ?? reasonOf(error);
}
