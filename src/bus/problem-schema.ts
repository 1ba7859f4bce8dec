import { z } from 'zod';
import { resolutionSchema } from '../events/answer.ts';
import { whereLost } from '../events/delivery.ts';
import { subscriptionSchema } from '../events/subscription.ts';

/** A problem as the OpenAPI document describes it. */
export const problemSchema = z
  .object({
    type: z
      .string()
      .meta({ description: 'Stable name of the kind of error', examples: ['urn:leveredge:problem:invalid'] }),
    title: z.string(),
    status: z.int(),
    detail: z.string().meta({ description: 'What failed, on what' }),
    hint: z.string().optional().meta({ description: 'What to do next' }),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({ description: 'JSON pointer into the body, or the parameter’s name' }),
          detail: z.string(),
        }),
      )
      .optional(),
    resolution: resolutionSchema.optional().meta({ description: 'already-resolved: how the question ended' }),
    state: z.enum(whereLost).optional().meta({ description: 'lease-lost: where the delivery is instead' }),
    options: z.array(z.string()).optional().meta({ description: 'An answer that is none of them: what it can be' }),
    subscription: subscriptionSchema.optional().meta({ description: 'A subscription that exists: which one' }),
    needs: z.string().optional().meta({ description: 'forbidden: the scope that the token lacks' }),
    retry_after_seconds: z.number().optional().meta({ description: 'rate-limited: as Retry-After' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457, with further members for some kinds' });
