import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { Fault } from '../../base/fault.ts';

/** What Telegram answered. None of it, and no error, ever holds the token. */
export type Answer =
  | { kind: 'ok'; result: unknown }
  /** It will be refused the same way the next time. */
  | { kind: 'refused'; code: number; says: string }
  | { kind: 'busy'; retryAfterMs: number }
  | { kind: 'unreachable'; says: string };

export type Api = {
  /** `signal` cuts it short; without one it goes to its end, so that what was sent is known to be sent. */
  call(
    method: string,
    body: Record<string, unknown>,
    limits?: { limitMs?: number; signal?: AbortSignal },
  ): Promise<Answer>;
};

export const telegramRoot = 'https://api.telegram.org';
const tokenForm = /^\d{1,20}:[\w-]{20,100}$/;
const usualLimitMs = 20_000;
/** Larger answers are none of Telegram's. */
const maxBytes = 4 * 1024 * 1024;
const conflict = 409;

/** @throws Fault `usage` for what is no token, without saying it */
export function requireToken(text: string | undefined, file: string): string {
  const token = text?.trim() ?? '';
  if (tokenForm.test(token)) return token;
  throw new Fault('usage', token === '' ? `There is no token in ${file} yet.` : `${file} holds no token of a bot.`, {
    hint: 'Make a bot of its own with @BotFather, and put what it says into that file, alone (chmod 600).',
  });
}

/** The Bot API at an address. @throws Fault `usage` for an address that would send the token openly over a network */
export function telegramApi(root: string, token: string): Api {
  const url = URL.canParse(root) ? new URL(root) : undefined;
  const isNear = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && isNear)))
    throw new Fault('usage', 'TELEGRAM_API_ROOT must begin with https://, or with http:// on this machine.');
  const base = `${url.origin}${url.pathname.replace(/\/+$/, '')}/bot${token}`;
  const send = sender(url.protocol === 'https:');
  return {
    async call(method, body, { limitMs = usualLimitMs, signal } = {}) {
      const timeout = AbortSignal.timeout(limitMs);
      const within = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
      try {
        const response = await send(`${base}/${method}`, JSON.stringify(body), within);
        return judge(response.statusCode ?? 0, await textOf(response));
      } catch (error) {
        // Its message may name the address, and that has the token in it.
        const { code = 'no connection' } = error as { code?: string };
        return { kind: 'unreachable', says: `Telegram does not answer (${code})` };
      }
    },
  };
}

type Send = (url: string, body: string, within: AbortSignal) => Promise<IncomingMessage>;

/**
 * Not `fetch`, which takes 11 MiB more of a machine that may have little left. Follows no redirect: wherever that leads, the token
 * would go along.
 */
function sender(isSecure: boolean): Send {
  const request = isSecure ? requestHttps : requestHttp;
  const agent = isSecure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  return (url, body, within) =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const sent = request(url, { method: 'POST', headers, agent, signal: within }, resolve);
      sent.on('error', reject);
      sent.end(body);
    });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw Object.assign(new Error('too large'), { code: 'too large' });
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

type Wire = {
  ok?: unknown;
  result?: unknown;
  error_code?: unknown;
  description?: unknown;
  parameters?: { retry_after?: unknown };
};

function judge(status: number, text: string): Answer {
  let wire: Wire;
  try {
    wire = JSON.parse(text) as Wire;
  } catch {
    return { kind: 'unreachable', says: `what answers for Telegram speaks no JSON (${status})` };
  }
  if (wire?.ok === true) return { kind: 'ok', result: wire.result };
  const code = typeof wire?.error_code === 'number' ? wire.error_code : status;
  if (code === 429) return { kind: 'busy', retryAfterMs: Number(wire.parameters?.retry_after ?? 1) * 1000 };
  if (code >= 500 || code < 400) return { kind: 'unreachable', says: `Telegram has trouble of its own (${code})` };
  return { kind: 'refused', code, says: String(wire.description ?? '') };
}

/** Another program polls with the same token. */
export const isConflict = (answer: Answer) => answer.kind === 'refused' && answer.code === conflict;
/** The token is none, or none any more. */
export const isUnknownToken = (answer: Answer) =>
  answer.kind === 'refused' && (answer.code === 401 || answer.code === 404);
