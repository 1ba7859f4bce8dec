import type { RetentionPolicy } from '../catalog/retention.ts';
import type { Place } from '../place.ts';
import type { Target } from '../target.ts';

/** What is asked after a restore, and by `gaia health`. */
export type Endpoint = { name: string; url: string };

export type RecoveryConfig = {
  place: Place;
  /** In the order of `full`: control-plane, prod, dev, then the others by name. */
  targets: readonly Target[];
  retention: RetentionPolicy;
  /** Hours for which the state of before a restore is kept. */
  keepAsideHours: number;
  endpoints: readonly Endpoint[];
  /** What is odd but no mistake, and what this version does not act on. */
  notes: readonly string[];
};
