import type { Capability } from '../events/capability.ts';
import { atlasCapabilities } from './atlas.ts';
import { chronosCapabilities } from './chronos.ts';
import { hadesCapabilities } from './hades.ts';

/** Everything that the agents can do for someone. A new one is added to its agent's list, and every door shows it. */
export const allCapabilities: readonly Capability[] = [
  ...atlasCapabilities,
  ...chronosCapabilities,
  ...hadesCapabilities,
];
