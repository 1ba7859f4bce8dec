import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../../../base/clock.ts';
import { Fault } from '../../../base/fault.ts';
import { argsOf, bytesOf } from './body.ts';
import type { Limits } from './flood.ts';
import { methods } from './methods.ts';
import { page, pagePolicy } from './page.ts';
import { makePlay } from './play.ts';
import { act, look, type Playing } from './play-routes.ts';
import { getUpdates } from './poll.ts';
import { Refused } from './refusals.ts';
import { answerOf, failureOf, makeTroubles } from './trouble.ts';
import { type Bot, makeWorld } from './world.ts';

/** The bots that there are from the start, and the tokens that let a program act as them. They are no secrets. */
export const fakeBots = {
  control: '7000001:FAKE_control_bot_of_leveredge_00000',
  emergency: '7000002:FAKE_emergency_bot_of_leveredge_000',
} as const;

export type FakeTelegram = {
  /** What TELEGRAM_API_ROOT is set to. */
  url: string;
  port: number;
  close(): Promise<void>;
} & Playing;

type Options = {
  /** 0 takes any free one. */
  port?: number;
  clock?: Clock;
  limits?: Partial<Limits>;
  /** The number of the first update; a bot takes what has one that it knows for told already. */
  firstUpdate?: number;
};

const maxPlayBytes = 1024 * 1024;
const maxRefusedKept = 500;
const loopback = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

/**
 * A Telegram Bot API for this machine alone, which refuses what Telegram refuses, with people to play and a page to play them
 * on. What it knows lives in memory. @throws Fault `port-taken`
 */
export async function startFakeTelegram({
  port = 0,
  clock = systemClock,
  limits = {},
  firstUpdate,
}: Options = {}): Promise<FakeTelegram> {
  const world = makeWorld(clock, limits, firstUpdate);
  for (const [name, token] of Object.entries(fakeBots)) world.addBot(name, token);
  const playing: Playing = { world, play: makePlay(world), troubles: makeTroubles() };
  const server = createServer((request, response) => {
    answer(playing, request, response).catch((error: unknown) => {
      // A client that went away in the middle is nobody's mistake.
      if (!response.destroyed) send(response, 500, { ok: false, error_code: 500, description: String(error) });
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new Fault('port-taken', `Port ${port} is taken.`, {
              hint: 'Choose another one with --port; 0 takes any free one.',
            })
          : error,
      ),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: taken } = server.address() as AddressInfo;
  return {
    ...playing,
    url: `http://127.0.0.1:${taken}`,
    port: taken,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(playing: Playing, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://fake');
  const [, token, method] = /^\/bot([^/]+)\/([^/]+)\/?$/.exec(url.pathname) ?? [];
  if (token !== undefined && method !== undefined)
    return answerBot(
      playing,
      { token: decodeURIComponent(token), method: method.toLowerCase(), url },
      request,
      response,
    );
  if (url.pathname === '/' && request.method === 'GET') {
    response.setHeader('content-security-policy', pagePolicy);
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page);
    return;
  }
  const [, what] = /^\/play\/([a-z-]+)$/.exec(url.pathname) ?? [];
  if (what !== undefined) return answerPlayer(playing, what, url, request, response);
  return refuse(playing, undefined, url.pathname, new Refused('path-unknown'), response);
}

async function answerPlayer(
  playing: Playing,
  what: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    // A page from elsewhere reaches this machine under a name of its own, or without asking in a form.
    if (!loopback.test(request.headers.host ?? '')) throw new Fault('forbidden', 'This answers to localhost only.');
    if (request.method === 'GET') return send(response, 200, await look(playing, what, url.searchParams));
    if (request.headers['content-type'] !== 'application/json')
      throw new Fault('usage', 'Send JSON, with content-type application/json.');
    const body: unknown = JSON.parse((await bytesOf(request, maxPlayBytes)).toString() || '{}');
    send(response, 200, act(playing, what, body));
  } catch (error) {
    if (!(error instanceof Fault) && !(error instanceof SyntaxError) && !(error instanceof Refused)) throw error;
    const code = error instanceof Fault && error.code === 'not-found' ? 404 : 400;
    send(response, code, { error: error.message });
  }
}

type BotCall = { token: string; method: string; url: URL };

async function answerBot(
  playing: Playing,
  { token, method, url }: BotCall,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { world, troubles } = playing;
  const bot = world.botOf(token);
  try {
    if (!/^[1-9]\d*:[^/]{1,64}$/.test(token)) throw new Refused('token-malformed');
    if (!bot || bot.isRevoked) throw new Refused('token-unknown');
    if (method !== 'getupdates' && !Object.hasOwn(methods, method)) throw new Refused('method-unknown');
    const trouble = troubles.take(bot.name, method);
    const instead = trouble && answerOf(trouble);
    if (instead) return send(response, instead.code, instead.body);
    // Nobody answers; the client gives up, or the fake ends.
    if (trouble?.kind === 'silence') return;
    if (trouble?.kind === 'cut') return void request.socket.destroy();
    const args = await argsOf(request, url);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const result =
      method === 'getupdates' ? await getUpdates(bot, args, gone.signal) : methods[method]?.(world, bot, args);
    if (trouble?.kind === 'cut-after') return void request.socket.destroy();
    send(response, 200, { ok: true, result });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(playing, bot, method, error, response);
  }
}

function refuse(
  { world }: Playing,
  bot: Bot | undefined,
  method: string,
  refused: Refused,
  response: ServerResponse,
): void {
  const { refusal, message: says } = refused;
  world.refused.push({ at: world.clock(), bot: bot?.name ?? 'nobody', method, refusal, says });
  if (world.refused.length > maxRefusedKept) world.refused.shift();
  world.changed();
  const { code, body } = failureOf(refused);
  if (refusal === 'body-too-large') response.setHeader('connection', 'close');
  send(response, code, body);
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.statusCode = code;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(body));
}
