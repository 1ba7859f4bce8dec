import { z } from 'zod';
import { name } from './name.ts';

/** How many patterns one subscription may except. */
const maxExcepted = 100;

export const modes = ['queue', 'tail'] as const;
export type Mode = (typeof modes)[number];

const pattern = name.meta({ description: '* stands for any run of characters; all else is literal, case counts' });
const priority = z
  .int('must be a whole number')
  .min(1, 'must be 1 (highest) to 10 (lowest)')
  .max(10, 'must be 1 (highest) to 10 (lowest)')
  .meta({ description: '1 is the highest, 10 the lowest' });
const mode = z
  .enum(modes, 'must be "queue" or "tail"')
  .meta({ description: 'queue: a delivery row until acknowledged; tail: no row, read from the log' });
const except = z
  .array(pattern, 'must be a list of patterns')
  .max(maxExcepted, `must have at most ${maxExcepted} patterns`)
  .meta({ description: 'Patterns that are not heard although action_pattern matches' });

export const newSubscriptionSchema = z
  .object({
    agent_name: name,
    action_pattern: pattern,
    priority: priority.default(5),
    enabled: z.boolean('must be true or false').default(true),
    mode: mode.default('queue'),
    except: except.default([]),
    only_if_new: z.boolean('must be true or false').default(false).meta({
      description: 'For an agent’s own list: adds only what the table never had, and revives nothing deleted',
    }),
  })
  .meta({ id: 'NewSubscription' });

export type NewSubscription = z.infer<typeof newSubscriptionSchema>;

export const subscriptionChangeSchema = z
  .object({
    priority: priority.optional(),
    enabled: z.boolean('must be true or false').optional(),
    mode: mode.optional(),
    except: except.optional(),
  })
  .meta({ id: 'SubscriptionChange' });

export type SubscriptionChange = z.infer<typeof subscriptionChangeSchema>;

export const subscriptionSchema = z
  .object({
    id: z.string(),
    agent_name: z.string(),
    action_pattern: z.string(),
    priority: z.number(),
    enabled: z.boolean(),
    mode: z.enum(modes),
    except: z.array(z.string()),
    origin: z.enum(['default', 'operator', 'agent']).meta({ description: 'Who added it' }),
    created_at: z.string(),
    updated_at: z.string(),
    deleted_at: z.string().nullable().meta({ description: 'A tombstone: deleted stays deleted' }),
  })
  .meta({ id: 'Subscription' });

export type Subscription = z.infer<typeof subscriptionSchema>;

/** Who would hear an action, and why; and who would not although a pattern of theirs matches. */
export const explanationSchema = z
  .object({
    action: z.string(),
    requires_human: z.boolean(),
    hearers: z.array(
      z.object({
        agent: z.string(),
        priority: z.number(),
        mode: z.enum(modes),
        pattern: z.string().meta({ description: 'The pattern whose priority counts' }),
        subscription_id: z.string(),
        heard_as: z.string().meta({ description: 'The action, or human_input_required' }),
        also: z.array(z.string()).meta({ description: 'Further patterns of this agent that match' }),
      }),
    ),
    silent: z.array(
      z.object({ agent: z.string(), pattern: z.string(), subscription_id: z.string(), because: z.string() }),
    ),
  })
  .meta({ id: 'Explanation' });

export type Explanation = z.infer<typeof explanationSchema>;
export type Hearer = Explanation['hearers'][number];
