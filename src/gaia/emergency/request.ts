import { isBackupCode } from '../two-factor/backup-codes.ts';

/**
 * What the bot may ask of the runner: a fixed list, with a target's name as the only word. `id` comes from Telegram's number of
 * the update, so that an update that is told twice is one request.
 */
export type PhoneRequest = { id: string; user: number; sentMs: number } & PhoneAsk;

export type PhoneAsk =
  | { verb: 'start' | 'status' }
  | { verb: 'list'; target: string | null }
  | { verb: 'restore'; target: string }
  | { verb: 'drill'; target: string }
  | { verb: 'backup'; target: string }
  | { verb: 'runbook'; target: string }
  | { verb: 'cancel'; operation: string | null }
  | { verb: 'confirm'; operation: string | null; code: string };

/** What a file of a request is called. */
export const requestName = /^u\d{1,16}\.json$/;
/** No request is larger. */
export const maxRequestBytes = 2048;

const targetForm = /^[a-z0-9][a-z0-9-]{0,62}$/;
const operationForm = /^\d{8}T\d{6}Z-[0-9A-Z]{4}$/;
const shared = ['id', 'user', 'sentMs', 'verb'];
const maxMs = 8.64e15;

const isTarget = (value: unknown) => typeof value === 'string' && targetForm.test(value);
const isNullOr = (value: unknown, is: (each: unknown) => boolean) => value === null || is(value);
const isOperation = (value: unknown) => typeof value === 'string' && operationForm.test(value);

/** What each verb has beside the rest, and nothing else. */
const members: Readonly<Record<PhoneRequest['verb'], Readonly<Record<string, (value: unknown) => boolean>>>> = {
  start: {},
  status: {},
  list: { target: (value) => isNullOr(value, isTarget) },
  restore: { target: isTarget },
  drill: { target: isTarget },
  backup: { target: isTarget },
  runbook: { target: isTarget },
  cancel: { operation: (value) => isNullOr(value, isOperation) },
  confirm: { operation: (value) => isNullOr(value, isOperation), code: isCode },
};

/** Six digits, or a backup code. */
export function isCode(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 16 && (/^\d{6}$/.test(value) || isBackupCode(value));
}

/** The request in a text, or undefined when anything in it is not just as it must be. */
export function parseRequest(text: string): PhoneRequest | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined; // No JSON.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { id, user, sentMs, verb } = value;
  if (typeof id !== 'string' || !requestName.test(`${id}.json`)) return undefined;
  if (!Number.isSafeInteger(user) || (user as number) <= 0) return undefined;
  if (!Number.isSafeInteger(sentMs) || (sentMs as number) < 0 || (sentMs as number) > maxMs) return undefined;
  if (typeof verb !== 'string' || !Object.hasOwn(members, verb)) return undefined;
  const own = members[verb as PhoneRequest['verb']];
  const isWhole = Object.entries(own).every(([key, is]) => Object.hasOwn(value, key) && is(value[key]));
  const isAll = Object.keys(value).every((key) => shared.includes(key) || Object.hasOwn(own, key));
  return isWhole && isAll ? (value as unknown as PhoneRequest) : undefined;
}
