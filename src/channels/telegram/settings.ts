import { z } from 'zod';
import { Fault } from '../../base/fault.ts';

/** Whom the control bot listens to, and what it tells unasked. */
export type TelegramSettings = {
  /** As whom they answer: the name of the token in shared/credentials/telegram-person.token. */
  person: string;
  /** Telegram's numbers of people, who all act as the person of the bot's token. */
  users: { id: number; name: string }[];
  /** Patterns of actions that are told as they happen. */
  tell: readonly string[];
};

/** What went wrong, or was backed up. */
export const usuallyTold: readonly string[] = [
  '*_failed',
  'backup_completed',
  'backup_missing',
  'agent_lost',
  'agent_back',
  'anomaly_detected',
  'audit_key_changed',
  'bus_restored',
  'restore_completed',
  'restore_rolled_back',
  'telegram_other_poller',
];

const maxUsers = 20;
const maxPatterns = 100;
const schema = z.strictObject({
  person: z.string().min(1).max(200),
  users: z
    .array(z.strictObject({ id: z.int().positive(), name: z.string().min(1).max(200) }))
    .min(1)
    .max(maxUsers),
  tell: z
    .array(z.string().min(1).max(200))
    .max(maxPatterns)
    .default([...usuallyTold]),
});

/** @throws Fault `usage` with the first mistake */
export function parseSettings(text: string, file: string): TelegramSettings {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Fault('usage', `${file} is no JSON.`, { hint: 'Write it anew: leveredge telegram setup', cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Fault('usage', `${file}: ${issue?.path.join('.') || 'it'}: ${issue?.message}.`, {
    hint: 'Write it anew: leveredge telegram setup',
  });
}
