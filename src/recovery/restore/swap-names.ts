import { Fault } from '../../base/fault.ts';
import { untilServes } from '../postgres/away.ts';
import { type DatabaseUnit, databaseComplaint, swapDatabases } from '../postgres/database-units.ts';
import { databaseServices, type Target } from '../target.ts';
import type { Services } from './services.ts';

type Swapping = {
  units: readonly DatabaseUnit[];
  direction: 'in' | 'back';
  target: Target;
  services: Services;
  pause(point: string): void;
};

/** A server that was stopped in the middle may have to put its data in order. */
const startMs = 120_000;

/**
 * Exchanges names of databases, and whatever else belongs to the swap. Databases go first, since a server may refuse; where one
 * does not answer, as after a reboot in the middle, it is started once the files are in their place.
 * @throws Fault when a server refuses, or does not start
 */
export async function withNames(swapping: Swapping, files: () => void): Promise<void> {
  const { units } = swapping;
  if (units.length === 0) return files();
  const isDone = await exchange(swapping).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Fault && error.code === 'unreachable') return false;
      throw error;
    },
  );
  files();
  if (isDone) return;
  await startServers(swapping);
  await exchange(swapping);
}

async function exchange({ units, direction, target, pause }: Swapping): Promise<void> {
  const end = direction === 'in' ? '' : ' back';
  pause(`before databases are swapped${end}`);
  await swapDatabases(units, target, direction);
  pause(`after databases are swapped${end}`);
}

async function startServers({ units, target, services }: Swapping): Promise<void> {
  const down: DatabaseUnit[] = [];
  for (const unit of units) if ((await databaseComplaint(unit.name, target)) !== undefined) down.push(unit);
  const postgres = (target.postgres ?? []).filter(({ name }) => down.some((unit) => unit.name === name));
  for (const service of databaseServices({ postgres })) await services.startOne(service);
  for (const { name, reach } of postgres) if (reach.kind === 'service') await untilServes(name, target, startMs);
}
