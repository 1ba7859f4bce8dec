import { Fault, reasonOf } from '../../base/fault.ts';
import { describe, type JsonObject, parseJson } from '../../base/json.ts';

const hint = `Write key=value for text, key:=value for JSON (n:=3, on:=true), or --details '{"key": "value"}'.`;

/**
 * An event's details from `--details` and pairs; a pair wins over the same key in `--details`.
 * @throws Fault `usage`
 */
export function parseDetails(json: string | undefined, pairs: readonly string[]): JsonObject | undefined {
  if (json === undefined && pairs.length === 0) return undefined;
  const details: JsonObject = json === undefined ? {} : parseObject(json);
  for (const pair of pairs) {
    const match = /^([^=]+?)(:?=)([\s\S]*)$/.exec(pair);
    if (!match) throw new Fault('usage', `${JSON.stringify(pair)} is no key=value pair.`, { hint });
    const [, key, sign, value] = match as unknown as [string, string, string, string];
    const parsed = sign === '=' ? value : (parseText(value, `The value of ${key}`, key) as JsonObject[string]);
    Object.defineProperty(details, key, { value: parsed, enumerable: true, configurable: true, writable: true });
  }
  return details;
}

function parseObject(text: string): JsonObject {
  const value = parseText(text, '--details');
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Fault('usage', '--details must be a JSON object.', { hint });
  return value as JsonObject;
}

/** `key`: where the text stands in the details; left out for all of them. */
function parseText(text: string, what: string, key?: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof Fault) || error.mistakes.length === 0)
      throw new Fault('usage', `${what}: ${reasonOf(error)}`, { hint });
    const place = (pointer: string) => [key, pointer.slice(1)].filter(Boolean).join('/') || '--details';
    const mistakes = error.mistakes.map(({ pointer, detail }) => ({ pointer: place(pointer), detail }));
    throw new Fault('usage', `These details could not be stored unchanged: ${describe(mistakes)}.`, { hint, mistakes });
  }
}
