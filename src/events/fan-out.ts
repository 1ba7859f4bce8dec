import { heardAs } from './event.ts';
import { compilePattern, type Matcher } from './pattern.ts';
import type { Explanation, Hearer, Subscription } from './subscription.ts';

/** Decides who hears what. The same on every store, because matching happens here and not in SQL. */
export type FanOut = {
  /** Best priority first, then by name; each agent once however many of its patterns match. */
  hearers(action: string, requiresHuman: boolean): readonly Hearer[];
  explain(action: string, requiresHuman: boolean): Explanation;
};

type Compiled = { subscription: Subscription; matches: Matcher; except: { pattern: string; matches: Matcher }[] };

/** How many actions' hearers are remembered. The memory is emptied, not grown, beyond this. */
const maxRemembered = 5000;

/** Compiles the subscriptions once; make a new one whenever they change. */
export function fanOutOf(subscriptions: readonly Subscription[]): FanOut {
  const compiled = subscriptions.filter((s) => s.deleted_at === null).map(compile);
  const remembered = new Map<string, readonly Hearer[]>();
  return {
    hearers(action, requiresHuman) {
      const key = requiresHuman ? `?${action}` : `.${action}`;
      let known = remembered.get(key);
      if (!known) {
        known = conclude(compiled, action, requiresHuman).hearers;
        if (remembered.size >= maxRemembered) remembered.clear();
        remembered.set(key, known);
      }
      return known;
    },
    explain: (action, requiresHuman) => conclude(compiled, action, requiresHuman),
  };
}

function compile(subscription: Subscription): Compiled {
  return {
    subscription,
    matches: compilePattern(subscription.action_pattern),
    except: subscription.except.map((pattern) => ({ pattern, matches: compilePattern(pattern) })),
  };
}

function conclude(compiled: readonly Compiled[], action: string, requiresHuman: boolean): Explanation {
  const names = heardAs(action, requiresHuman);
  const byAgent = new Map<string, Hearer>();
  const silent: Explanation['silent'] = [];
  for (const { subscription: s, matches, except } of compiled) {
    const heardBy = names.find(matches);
    if (heardBy === undefined) continue;
    const excepted = except.find((e) => names.some(e.matches));
    if (!s.enabled || excepted) {
      const because = excepted ? `excepted by ${excepted.pattern}` : 'disabled';
      silent.push({ agent: s.agent_name, pattern: s.action_pattern, subscription_id: s.id, because });
      continue;
    }
    const hearer: Hearer = {
      agent: s.agent_name,
      priority: s.priority,
      mode: s.mode,
      pattern: s.action_pattern,
      subscription_id: s.id,
      heard_as: heardBy,
      also: [],
    };
    const other = byAgent.get(s.agent_name);
    byAgent.set(s.agent_name, other ? merge(other, hearer) : hearer);
  }
  const hearers = [...byAgent.values()].sort((a, b) => a.priority - b.priority || (a.agent < b.agent ? -1 : 1));
  return { action, requires_human: requiresHuman, hearers, silent };
}

/** One delivery for each agent: the best priority counts, and a queue is kept if any of its patterns asks for one. */
function merge(a: Hearer, b: Hearer): Hearer {
  const [best, other] = b.priority < a.priority ? [b, a] : [a, b];
  const mode = a.mode === 'queue' || b.mode === 'queue' ? 'queue' : 'tail';
  return { ...best, mode, also: [...a.also, ...b.also, other.pattern] };
}
