import { z } from 'zod';
import type { JsonObject } from '../base/json.ts';
import type { Capability } from '../events/capability.ts';
import { backupColumns, backupName, listedBackups, target } from './backup-shapes.ts';

/** What CHRONOS offers. */
export const chronosCapabilities: readonly Capability[] = [
  {
    name: 'chronos.list',
    summary: 'List the backups',
    risk: 'read',
    input: z.strictObject({ target: target.optional() }),
    output: listedBackups,
    example: { target: 'dev' },
    columns: backupColumns,
    withoutBus: 'gaia list',
  },
  {
    name: 'chronos.backup',
    summary: 'Back a target up now',
    risk: 'write',
    input: z.strictObject({ target }),
    output: z.object({
      backup: z.string(),
      state: z.string().describe('sound, or degraded when it is not whole'),
      bytes: z.number(),
      content_bytes: z.number(),
      files: z.number(),
      not_whole: z.number().describe('How many things are missing in it'),
      seconds: z.number(),
      also_made: z.array(z.string()).optional().describe('Of control-plane, beside a repository'),
    }),
    example: { target: 'dev' },
    withoutBus: 'gaia backup TARGET',
  },
  {
    name: 'chronos.verify',
    summary: 'Read a backup back whole and compare it',
    risk: 'write',
    input: z.strictObject({ target, backup: backupName.optional().describe('The newest when left out') }),
    output: z.object({ backup: z.string(), state: z.string(), says: z.string(), seconds: z.number() }),
    example: { target: 'dev' },
    withoutBus: 'gaia verify BACKUP',
  },
  {
    name: 'chronos.drill',
    summary: 'Prove that a backup comes back, beside what is live',
    risk: 'write',
    input: z.strictObject({ target, backup: backupName.optional().describe('The newest sound one when left out') }),
    output: z.object({
      target: z.string(),
      backup: z.string(),
      result: z.string().describe('proven, or came up where nobody could be asked'),
      says: z.string(),
      rto_seconds: z.number().describe('How long it took'),
      rpo_seconds: z.number().describe('How old the backup is'),
      phases: z.array(z.object({ name: z.string(), seconds: z.number() })),
    }),
    example: { target: 'dev' },
    withoutBus: 'gaia drill TARGET',
  },
  {
    name: 'chronos.schedule',
    summary: 'Show what is done by itself, when it was done last and when it is next',
    risk: 'read',
    input: z.strictObject({ target: target.optional() }),
    output: z.object({
      clocks: z.string().describe('How the machine’s clocks are set, by which the rules go; all other times are UTC'),
      problems: z.array(z.string()).describe('What fails and is tried again, and why'),
      schedule: z.array(
        z.object({
          target: z.string(),
          what: z.string().describe('whole, databases, verify, drill, prune; copy of the bus’ own database'),
          rule: z.string().describe('hourly, daily 03:00, sun 05:00, off …'),
          last_at: z.string().nullable().describe('When there was one last, whoever made it'),
          next_at: z.string().nullable(),
          state: z.string().describe('ok, due, FAILING, MISSING, off'),
          problem: z.string().nullable(),
        }),
      ),
    }),
    example: {},
    columns: ['target', 'what', 'rule', 'last_at', 'next_at', 'state'],
    withoutBus: 'gaia list',
  },
  {
    name: 'chronos.prune',
    summary: 'Move what retention does not keep into the trash, when a person approves',
    risk: 'destructive',
    input: z.strictObject({
      target: target.optional(),
      plan: z.string().max(100).optional().describe('Names what goes; only that'),
    }),
    output: z.object({
      trashed: z.array(z.string()).describe('Backups that rest in the trash for 48 hours'),
      aside_removed: z.array(z.string()).describe('What restores had put aside long enough ago'),
    }),
    example: { target: 'dev' },
    withoutBus: 'gaia prune --dry-run',
    question: ({ target: of }: JsonObject) => `Prune the backups${of === undefined ? '' : ` of ${of}`}?`,
  },
];
