import { z } from 'zod';
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
];
