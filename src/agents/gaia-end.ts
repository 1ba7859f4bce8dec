import { Fault, type FaultCode } from '../base/fault.ts';
import type { JsonObject } from '../base/json.ts';

/** How a process of GAIA ended; null when a signal has ended it. */
export type GaiaEnd = { exit: number | null; stdout: string; stderr: string };

/** Runs GAIA with these words and waits for its end. @throws the signal's reason once it has ended the process */
export type RunGaia = (words: readonly string[], signal: AbortSignal) => Promise<GaiaEnd>;

/** What GAIA printed as its result, where it ended so. @throws Fault with what it said instead */
export function resultOf(end: GaiaEnd, fine: readonly number[] = [0]): JsonObject {
  const result = lastDocument(end.stdout);
  if (end.exit !== null && fine.includes(end.exit) && result !== undefined) return result;
  const { code, says, hint } = failureOf(end);
  throw new Fault(code as FaultCode, says, { hint });
}

/** Why GAIA did not do what it was asked. */
export function failureOf({ exit, stdout, stderr }: GaiaEnd): {
  code: string;
  says: string;
  hint?: string | undefined;
} {
  const error = lastDocument(stderr)?.error as { code?: unknown; message?: unknown; hint?: unknown } | undefined;
  const said = error?.message ?? lastDocument(stdout)?.says;
  return {
    code: typeof error?.code === 'string' ? error.code : 'internal',
    says: typeof said === 'string' ? said : unsaid(exit),
    hint: typeof error?.hint === 'string' ? error.hint : undefined,
  };
}

const unsaid = (exit: number | null) =>
  exit === null ? 'GAIA was ended by a signal.' : `GAIA ended with ${exit} and did not say why.`;

/** Notes may stand before it, a document a line. */
export function lastDocument(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');
    return typeof value === 'object' && value !== null ? (value as JsonObject) : undefined;
  } catch {
    return undefined; // Judged by the caller: GAIA has printed nothing, or was cut off.
  }
}

/** Between two looks whether another run has let go of the backups, and for how long. */
const lookAgainMs = 2000;
const maxLooks = 1800;

/** What GAIA needs to be run for an agent. */
export type GaiaEffects = {
  gaia: RunGaia;
  /** @throws the signal's reason */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
};

/** Runs GAIA, after whatever else of GAIA runs: one run works on the backups at a time. */
export async function inItsTurn(
  { gaia, sleep }: GaiaEffects,
  words: readonly string[],
  signal: AbortSignal,
): Promise<GaiaEnd> {
  for (let looks = 1; ; looks++) {
    const end = await gaia(words, signal);
    if (end.exit === 0 || failureOf(end).code !== 'locked' || looks === maxLooks) return end;
    await sleep(lookAgainMs, signal);
  }
}

/** How often GAIA is asked again that was killed. */
const maxFinishes = 3;

/** Asks GAIA again when somebody has killed it: what is asked for the same cause is done once. */
export async function untilEnded(
  effects: GaiaEffects,
  words: readonly string[],
  signal: AbortSignal,
): Promise<GaiaEnd> {
  for (let finishes = 0; ; finishes++) {
    const end = await inItsTurn(effects, words, signal);
    if (end.exit !== null || finishes === maxFinishes) return end;
  }
}

/** `gaia list`, as capabilities give it. */
export async function listBackups({ gaia }: GaiaEffects, args: JsonObject, signal: AbortSignal): Promise<JsonObject> {
  const only = typeof args.target === 'string' ? ['--target', args.target] : [];
  return resultOf(await gaia(['list', ...only, '--json', '--quiet'], signal), [0, 9]);
}
