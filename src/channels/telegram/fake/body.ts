import type { IncomingMessage } from 'node:http';
import { Refused } from './refusals.ts';

export type UploadedFile = { name: string; bytes: number };
/** Parameters as they came. From a form all are text, or files; in JSON they have types. */
export type Args = Readonly<Record<string, unknown>>;

/** 50 MB of a file, and the form around it. */
const maxBytes = 51 * 1024 * 1024;

/** The parameters of a call, from all the places where Telegram takes them. @throws Refused */
export async function argsOf(request: IncomingMessage, url: URL): Promise<Args> {
  const inUrl = Object.fromEntries(url.searchParams);
  const bytes = await bytesOf(request);
  const kind = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (bytes.length === 0) return inUrl;
  if (kind === 'application/json') return { ...inUrl, ...parseJson(bytes) };
  if (kind === 'application/x-www-form-urlencoded')
    return { ...inUrl, ...Object.fromEntries(new URLSearchParams(utf8(bytes))) };
  if (kind === 'multipart/form-data') return { ...inUrl, ...(await parseForm(bytes, request.headers['content-type'])) };
  throw new Refused('body-kind-unknown');
}

/** The bytes of a body, up to a limit. @throws Refused `body-too-large` */
export async function bytesOf(request: IncomingMessage, limit = maxBytes): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw new Refused('body-too-large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function utf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Refused('body-unreadable');
  }
}

function parseJson(bytes: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(utf8(bytes));
  } catch {
    throw new Refused('body-unreadable');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Refused('body-unreadable');
  return parsed as Record<string, unknown>;
}

async function parseForm(bytes: Buffer<ArrayBuffer>, type = ''): Promise<Record<string, unknown>> {
  let form: FormData;
  try {
    form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
  } catch {
    throw new Refused('body-unreadable');
  }
  const args: Record<string, unknown> = {};
  for (const [name, value] of form)
    args[name] = typeof value === 'string' ? value : { name: value.name, bytes: value.size };
  return args;
}

/** A parameter as text; a number of JSON counts too. */
export function textArg(args: Args, name: string): string {
  const value = args[name];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** A whole number, or undefined when it is none. */
export function numberArg(args: Args, name: string): number | undefined {
  const text = textArg(args, name);
  return /^-?\d{1,16}$/.test(text) ? Number(text) : undefined;
}

/** A parameter that is an object or a list: itself in JSON, JSON in a form. Undefined when left out. @throws Refused */
export function jsonArg(args: Args, name: string): unknown {
  const value = args[name];
  if (typeof value !== 'string') return value;
  if (value === '') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    throw new Refused('markup-unreadable');
  }
}
