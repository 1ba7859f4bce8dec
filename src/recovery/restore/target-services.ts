import { databaseServices, type Target } from '../target.ts';
import { composeServices, type Running, type Services } from './services.ts';
import { isAmong, unitServices } from './unit-services.ts';

/**
 * Everything that works on a target: units of systemd, which are stopped first and started last, and compose projects.
 * @param uid the user who stops and starts
 */
export function targetServices(target: Target, uid: number): Services {
  const compose = composeServices(target.compose ?? [], databaseServices(target));
  const units = unitServices(target.units ?? [], uid);
  if (units.isEmpty) return compose;
  const both = compose.isEmpty ? [units] : [compose, units];
  return {
    ...compose,
    isEmpty: false,
    async look(known) {
      const { projects } = await compose.look(known);
      return { ...(await units.look(known)), projects };
    },
    stop: (running, also) => inTurn([...both].reverse(), (each) => each.stop(running, also)),
    start: (running) => inTurn(both, (each) => each.start(running)),
    complaint: async (running) => (await compose.complaint(running)) ?? (await units.complaint(running)),
    lastLines: async (running) => [...(await compose.lastLines(running)), ...(await units.lastLines(running))],
  };
}

/** What does not stop or start is no reason to leave the others as they are. @throws what the first that failed threw */
async function inTurn<T>(each: readonly T[], work: (one: T) => Promise<string>): Promise<string> {
  const [says, failures]: [string[], unknown[]] = [[], []];
  for (const one of each)
    await work(one).then(
      (text) => says.push(text),
      (error) => failures.push(error),
    );
  if (failures.length > 0) throw failures[0];
  return says.join('; ');
}

/** What was known, and what has come since as it is now: containers with their policy. */
export function alsoRunning(known: Running, now: Running): Running {
  const projects = now.projects.map(({ file, containers, ...rest }) => {
    const project = known.projects.find((each) => each.file === file);
    const before = project?.containers ?? [];
    return {
      ...(project ?? rest),
      file,
      containers: [...before, ...containers.filter(({ id }) => !before.some((each) => each.id === id))],
    };
  });
  const came = (now.units ?? []).filter((unit) => !isAmong(known.units, unit));
  return { projects, units: [...(known.units ?? []), ...came] };
}
