import { Fault } from '../../base/fault.ts';
import { name } from '../../events/name.ts';
import { quoted } from '../refusals.ts';

/**
 * The agent in a path.
 * @throws Fault `invalid` when it is no name.
 */
export function agentOf(text: string): string {
  const result = name.safeParse(text);
  if (result.success) return result.data;
  const detail = result.error.issues[0]?.message ?? 'is no name';
  throw new Fault('invalid', `The agent’s name ${quoted(text)} ${detail}.`, {
    mistakes: [{ pointer: 'agent', detail }],
  });
}
