import { z } from 'zod';
import { questionStates } from './event.ts';
import { name, text } from './name.ts';

/** Characters in the name of a channel or a reason. */
const channel = name.meta({ description: 'The channel it came through', examples: ['cli'] });

/** The body of an answer. */
export const answerSchema = z
  .object({
    response: text.min(1, 'must not be empty'),
    responder: name.nullish().meta({ description: 'Who answers; with a token its name, else "human", when left out' }),
    via: channel.nullish(),
    payload_hash: text
      .nullish()
      .meta({ description: 'The hash of what was shown to the person; must be the question’s where that has one' }),
    reason: text.nullish().meta({ description: 'Why; stands in the event that tells of the answer' }),
    proof: text.nullish().meta({
      description: 'That whoever answers has given a code, as GAIA signed it; a token with approve:code needs it',
    }),
  })
  .meta({ id: 'Answer' });

export type AnswerBody = z.infer<typeof answerSchema>;

/** The body of a cancellation: only the asker takes a question back. */
export const cancelSchema = z
  .object({
    cancelled_by: name.nullish().meta({ description: 'Who takes it back; with a token its name, when left out' }),
    reason: text.nullish(),
    via: channel.nullish(),
  })
  .meta({ id: 'Cancel' });

export type CancelBody = z.infer<typeof cancelSchema>;

/** The body with which a channel says that it has shown a question to a person. */
export const notifiedSchema = z.object({ via: channel }).meta({ id: 'Notified' });

/**
 * `mayApprove`: whoever answers may also answer a question with a `payload_hash`, which is an approval. `confirmedBy`: what proved that it
 * was they.
 */
export type Answer = {
  response: string;
  responder: string;
  via: string;
  payloadHash: string | null;
  mayApprove: boolean;
  reason?: string | null;
  confirmedBy?: 'code' | null;
};

/** How a question ended: what the loser of a race is told. */
export const resolutionSchema = z
  .object({
    state: z.enum(questionStates).exclude(['open']),
    response: z.string().nullable().meta({ description: 'The answer or the fallback; null when there was neither' }),
    responded_by: z.string().nullable().meta({ description: 'Who answered or cancelled; null for the deadline' }),
    responded_via: z.string().nullable(),
    resolved_at: z.string().meta({ format: 'date-time' }),
  })
  .meta({ id: 'Resolution', description: 'How a question ended' });

export type Resolution = z.infer<typeof resolutionSchema>;
