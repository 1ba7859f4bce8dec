import { z } from 'zod';
import type { Json, JsonObject } from '../base/json.ts';

/** Which half of a call a secret belongs to. */
export const secretSides = ['arguments', 'result'] as const;
export type SecretSide = (typeof secretSides)[number];

/** The secret values of one half of a call, by the member that they stand in. */
export type SecretValues = Readonly<Record<string, string>>;

/** Characters of one secret: an SSH key, a small file. */
export const maxSecretLength = 64 * 1024;

/** What stands in events for a secret: it is bound to the value, and tells nothing of it. */
const placeholderShape = /^secret:[\w-]{43}$/;

const mark = { format: 'password', writeOnly: true };

/**
 * Marks a text of a capability's `input` or `output` as secret: the bus keeps it apart, sealed, and events, errors and
 * questions hold a placeholder. Only a member of its own can be one, also optional.
 */
export function secret<T extends z.ZodString>(schema: T): T {
  return schema.meta(mark);
}

const known = new WeakMap<z.ZodObject, readonly string[]>();

/** The members of a capability's `input` or `output` that are secret. @throws Error where one is marked that cannot be */
export function secretMembers(schema: z.ZodObject): readonly string[] {
  const before = known.get(schema);
  if (before) return before;
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' }) as { properties?: Record<string, JsonObject> };
  const isMarked = (node: Json | undefined): boolean =>
    typeof node === 'object' && node !== null && !Array.isArray(node) && node.writeOnly === true;
  const holdsMark = (node: Json): boolean =>
    typeof node === 'object' && node !== null && (isMarked(node) || Object.values(node).some(holdsMark));
  const members = Object.keys(properties).filter((key) => isMarked(properties[key]));
  const odd = Object.entries(properties).find(
    ([key, node]) => (members.includes(key) ? node.type !== 'string' : holdsMark(node)) || members.includes('target'),
  );
  if (odd) throw new Error(`${odd[0]}: only a text that is a member of its own, and not the target, can be secret`);
  known.set(schema, members);
  return members;
}

/** The same shape with placeholders where secrets stand; what else the schema says of the whole is for the values alone. */
export function maskedSchema(schema: z.ZodObject): z.ZodObject {
  const members = secretMembers(schema);
  if (members.length === 0) return schema;
  const placeholder = z.string('must be a placeholder').regex(placeholderShape, 'must be a placeholder');
  const masked = members.map((key) => {
    const mayMiss = (schema.shape[key] as z.ZodType).safeParse(undefined).success;
    return [key, mayMiss ? placeholder.optional() : placeholder];
  });
  return z.strictObject({ ...schema.shape, ...Object.fromEntries(masked) });
}

/** Those of these members that are there, as texts. */
export function secretsIn(schema: z.ZodObject, values: JsonObject): Record<string, string> {
  const present = secretMembers(schema).filter((key) => typeof values[key] === 'string');
  return Object.fromEntries(present.map((key) => [key, values[key] as string]));
}

/** Shorter ones would be found in every other word. */
const shortestFound = 4;
const inPlace = '[secret]';

/**
 * Takes these secrets out of whatever somebody says, wherever they stand in a text: as they are, and as JSON, a URL or base64
 * would write them. Those of fewer than four characters are not looked for.
 */
export function redactorOf(secrets: readonly string[]): <T extends Json>(said: T) => T {
  const looked = secrets
    .filter(({ length }) => length >= shortestFound)
    .flatMap((value) => [
      value,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value.toWellFormed()),
      Buffer.from(value).toString('base64').replace(/=+$/, ''),
      Buffer.from(value).toString('base64url'),
    ]);
  // The longest first, or of one that contains another a part would be left.
  const forms = [...new Set(looked)].sort((a, b) => b.length - a.length);
  const text = (said: string) => forms.reduce((left, form) => left.replaceAll(form, inPlace), said);
  const walk = (node: Json): Json => {
    if (typeof node === 'string') return text(node);
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [text(key), walk(value)]));
  };
  return (said) => (forms.length === 0 ? said : (walk(said) as typeof said));
}
