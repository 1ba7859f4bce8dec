import { Fault } from '../../base/fault.ts';
import type { Subscription } from '../../events/subscription.ts';
import { shellWord } from './shell-word.ts';

const namesTheApi = /\b(?:GET|POST|PATCH|PUT|DELETE) \//;

/**
 * A failure as the bus said it, with the next step as a command. The bus names calls of its API, which help nobody at a
 * shell; a line that does so is left out where no command takes its place. Everything else stays as it is.
 */
export function inOwnWords(thrown: unknown): unknown {
  if (!(thrown instanceof Fault) || !namesTheApi.test(thrown.hint ?? '')) return thrown;
  const { code, message, mistakes, extra, cause } = thrown;
  return new Fault(code, message, { hint: commandFor(thrown) ?? withoutApi(thrown.hint), mistakes, extra, cause });
}

function commandFor({ code, extra }: Fault): string | undefined {
  if (code === 'asks-nothing') return 'The open questions: leveredge pending';
  if (code !== 'conflict' || extra.subscription === undefined) return undefined;
  const { agent_name, action_pattern } = extra.subscription as Subscription;
  return `Change it: leveredge subscriptions change ${shellWord(agent_name)} ${shellWord(action_pattern)}`;
}

function withoutApi(hint = ''): string | undefined {
  const kept = hint.split('\n').filter((line) => !namesTheApi.test(line));
  return kept.length > 0 ? kept.join('\n') : undefined;
}
