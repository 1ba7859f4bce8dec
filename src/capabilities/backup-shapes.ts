import { z } from 'zod';

/** The name of a target of GAIA's configuration; nothing that its command line could take for an option. */
export const target = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(200, 'must be at most 200 characters')
  .regex(/^[a-z0-9][a-z0-9-]*$/, 'must be small letters, digits and hyphens')
  .describe('A target of GAIA’s configuration');

/** A backup, as it is named. No path: whoever may only read could else have any file of the machine looked at. */
export const backupName = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(400, 'must be at most 400 characters')
  .regex(/^[^/\-\p{Cc}][^/\p{Cc}]*$/u, 'must be the name of a backup, and no path');

const time = z.string().nullable();

/** A backup as it is listed. */
const listedBackup = z.object({
  name: z.string(),
  target: z.string(),
  created_at: z.string(),
  state: z.string().describe('sound, degraded, damaged …'),
  reason: z.string().nullable(),
  bytes: z.number(),
  files: z.number(),
  why_made: z.string().nullable(),
  verified_at: time,
  drilled_at: time,
});

/** What is shown of a backup in a table. */
export const backupColumns = ['name', 'created_at', 'state', 'bytes', 'why_made', 'verified_at'];

/** The newest first. */
export const listedBackups = z.object({ backups: z.array(listedBackup) });
