import { z } from 'zod';
import type { JsonObject } from '../base/json.ts';
import type { Capability } from '../events/capability.ts';
import { backupColumns, backupName, listedBackups, target } from './backup-shapes.ts';

const outcome = z.object({
  target: z.string(),
  outcome: z.string().describe('committed, or rolled back'),
  says: z.string(),
  run: z.string().describe('The run of GAIA'),
  health: z.string(),
  aside: z.array(z.string()).describe('Where lies what was there before'),
});

/** A tap on a phone that lies about must not change more than what is there to be tried on. */
const stepUp = ({ target: what }: JsonObject) => what !== 'dev';

/** What HADES offers. */
export const hadesCapabilities: readonly Capability[] = [
  {
    name: 'hades.list',
    summary: 'List what a target can be rolled back to',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({ target: target.optional() }),
    output: listedBackups,
    phrases: ['what can {target} be rolled back to', 'where can {target} be rolled back to'],
    example: { target: 'dev' },
    columns: backupColumns,
    withoutBus: 'gaia list',
  },
  {
    name: 'hades.plan',
    summary: 'Show what a rollback would do, and do nothing',
    risk: 'read',
    fromDisk: true,
    input: z.strictObject({ target, backup: backupName.optional().describe('The newest sound one when left out') }),
    output: z.object({
      target: z.string(),
      backup: z.string(),
      created_at: z.string().nullable().describe('Null where the backup does not say'),
      files: z.number(),
      bytes: z.number(),
      replaces: z.array(z.string()),
      stops: z.array(z.string()),
      warnings: z.array(z.string()),
      refusals: z.array(z.string()).describe('Why it would be refused; empty when it would not'),
      plan: z.string().describe('Names just this plan'),
    }),
    phrases: [
      'plan rollback of {target}',
      'plan rollback of {target} to {backup}',
      'what would rollback of {target} do',
    ],
    example: { target: 'dev' },
    withoutBus: 'gaia plan TARGET',
  },
  {
    name: 'hades.rollback',
    summary: 'Bring a target back to a backup, when a person approves',
    risk: 'destructive',
    input: z.strictObject({
      target,
      backup: backupName.optional().describe('The newest sound one when left out'),
      plan: z
        .string('must be a string')
        .max(100, 'must be at most 100 characters')
        .optional()
        .describe('Only what hades.plan showed under this name'),
    }),
    output: outcome.extend({ backup: z.string() }),
    phrases: [
      'roll {target} back',
      'roll back {target}',
      'roll {target} back to {backup}',
      'roll back {target} to {backup}',
      'rollback {target} to {backup}',
      'restore {target}',
      'restore {target} to|from {backup}',
    ],
    example: { target: 'dev' },
    withoutBus: 'gaia restore TARGET',
    stepUp,
    question: (args: JsonObject) => `Roll ${args.target} back to ${args.backup}?`,
  },
  {
    name: 'hades.undo',
    summary: 'Bring back what was there before the last rollback, when a person approves',
    risk: 'destructive',
    input: z.strictObject({
      target,
      run: z
        .string('must be a string')
        .min(1, 'must not be empty')
        .max(100, 'must be at most 100 characters')
        .optional()
        .describe('Only if this is the run of GAIA that would be undone'),
    }),
    output: outcome,
    phrases: ['undo [last] rollback of {target}'],
    example: { target: 'dev' },
    withoutBus: 'gaia undo TARGET',
    stepUp,
    question: (args: JsonObject) => `Undo the last rollback of ${args.target}?`,
  },
];
