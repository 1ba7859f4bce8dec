import type { Fault } from '../../base/fault.ts';
import type { Call, Capability } from '../../events/capability.ts';
import { html, type Markup } from './markup.ts';
import { resultLines } from './result-lines.ts';

/** What went wrong, and what to do next. */
export function faultLines({ message, hint }: Fault): Markup[] {
  return [html`❌ ${message}`, ...(hint === undefined ? [] : [html`${hint}`])];
}

/** What came of a call; undefined while it goes on or waits for a person. */
export function endOfCall(
  capabilities: readonly Capability[],
  state: Call | { id: string; fault: Fault },
): Markup[] | undefined {
  if ('fault' in state) return faultLines(state.fault);
  const { capability: name, status, result, error, approval } = state;
  if (error !== null)
    return [html`❌ <b>${name}</b>: ${error.message}`, ...(error.hint === undefined ? [] : [html`${error.hint}`])];
  if (status === 'refused') {
    const by = approval?.responded_by;
    const said = approval?.response ?? null;
    const why = !by ? 'nobody said yes in time' : said === null ? `${by} took the question back` : `${by} said ${said}`;
    return [html`🚫 <b>${name}</b>: nothing was done, ${why}.`];
  }
  if (result === null) return undefined;
  const capability = capabilities.find((each) => each.name === name);
  return resultLines(capability ?? { name }, result);
}
