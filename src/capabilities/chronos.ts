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
    fromDisk: true,
    input: z.strictObject({ target: target.optional() }),
    output: listedBackups,
    phrases: [
      'list|show [all] backups',
      'backups',
      'list|show backups of|for {target}',
      'backups of|for {target}',
      'list|show {target} backups',
      'which|what backups are there [of|for] {target}',
      'which|what backups are there',
    ],
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
    phrases: ['back {target} up', 'back up {target}', 'make|take backup of {target}'],
    example: { target: 'dev' },
    withoutBus: 'gaia backup TARGET',
  },
  {
    name: 'chronos.verify',
    summary: 'Read a backup back whole and compare it',
    risk: 'write',
    input: z.strictObject({ target, backup: backupName.optional().describe('The newest when left out') }),
    output: z.object({ backup: z.string(), state: z.string(), says: z.string(), seconds: z.number() }),
    phrases: ['verify|check [last|latest|newest] backup of {target}', 'verify backup {backup} of {target}'],
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
    phrases: [
      'test|try [last|latest|newest] backup of {target}',
      'test|try backup {backup} of {target}',
      'drill {target} with|from {backup}',
    ],
    example: { target: 'dev' },
    withoutBus: 'gaia drill TARGET',
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
    phrases: ['prune backups of {target}'],
    example: { target: 'dev' },
    withoutBus: 'gaia prune --dry-run',
    question: ({ target: of }: JsonObject) => `Prune the backups${of === undefined ? '' : ` of ${of}`}?`,
  },
];
