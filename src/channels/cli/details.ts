import { Fault, reasonOf } from '../../base/fault.ts';
import { type JsonObject, parseJson } from '../../base/json.ts';

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
    const parsed = sign === '=' ? value : (parseText(value, `The value of ${key}`) as JsonObject[string]);
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

function parseText(text: string, what: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new Fault('usage', `${what}: ${reasonOf(error)}`, { hint });
  }
}
