import { Fault } from '../../base/fault.ts';

/** What Telegram answered. None of it, and no error, ever holds the token. */
export type Answer =
  | { kind: 'ok'; result: unknown }
  /** It will be refused the same way the next time. */
  | { kind: 'refused'; code: number; says: string }
  | { kind: 'busy'; retryAfterMs: number }
  | { kind: 'unreachable'; says: string };

export type Api = { call(method: string, body: Record<string, unknown>, limitMs?: number): Promise<Answer> };

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
export function telegramApi(root: string, token: string, signal: AbortSignal): Api {
  const url = URL.canParse(root) ? new URL(root) : undefined;
  const isNear = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && isNear)))
    throw new Fault('usage', 'TELEGRAM_API_ROOT must begin with https://, or with http:// on this machine.');
  const base = `${url.origin}${url.pathname.replace(/\/+$/, '')}/bot${token}`;
  return {
    async call(method, body, limitMs = usualLimitMs) {
      try {
        const response = await fetch(`${base}/${method}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
          // Wherever it leads, the token would go along.
          redirect: 'error',
          signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)]),
        });
        return judge(response.status, await textOf(response));
      } catch (error) {
        // Its message may name the address, and that has the token in it.
        const cause = (error as { cause?: { code?: string } }).cause?.code;
        return { kind: 'unreachable', says: `Telegram does not answer (${cause ?? (error as Error).name})` };
      }
    },
  };
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error('too large');
    chunks.push(chunk);
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
