import type { Fault } from '../../base/fault.ts';
import type { RetentionPolicy } from '../catalog/retention.ts';
import type { BusSetting } from '../events/find-bus.ts';
import type { Endpoint } from '../health/gate.ts';
import type { Place } from '../place.ts';
import type { Schedule } from '../schedule.ts';
import type { Target } from '../target.ts';
import type { EmergencyFiles } from './read-telegram.ts';

export type RecoveryConfig = {
  place: Place;
  /** In the order of `full`: control-plane, prod, dev, then the others by name. */
  targets: readonly Target[];
  retention: RetentionPolicy;
  /** Hours for which the state of before a restore is kept. */
  keepAsideHours: number;
  /** What `gaia health` asks, beside those of the targets. */
  endpoints: readonly Endpoint[];
  /** Which bus hears of backups and restores. */
  bus: BusSetting;
  /** The emergency bot, and the second factor. */
  emergency: EmergencyFiles;
  /** What CHRONOS does by itself. */
  schedule: Schedule;
  /** Why it cannot be known whom backups are encrypted to. Nothing is backed up then; everything else goes on. */
  encryptionFault: Fault | undefined;
  /** What is odd but no mistake, and what this version does not act on. */
  notes: readonly string[];
};
