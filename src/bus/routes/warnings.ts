import { z } from 'zod';

/** What every answer may carry beside its own members: what was ignored, so that a typing mistake is seen. */
export const warningsSchema = z
  .array(z.object({ pointer: z.string(), detail: z.string() }))
  .optional()
  .meta({ description: 'What was ignored in the request; only when there is something' });
