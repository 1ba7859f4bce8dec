import { Fault, reasonOf } from '../../base/fault.ts';
import { requireWorked } from '../compose/containers.ts';
import { hold, release } from '../systemd/hold.ts';
import { requireRunning, type Systemd, systemdOf } from '../systemd/systemd.ts';
import { type TargetUnit, unitText } from '../target.ts';
import type { RunningUnit, Services } from './services.ts';

/** How long a unit may take to stop, and to start. */
const stopMs = 5 * 60_000;
const startMs = 15 * 60_000;
const shownLines = 20;
/** What systemctl says by its exit code when it has never heard of a unit. */
const notLoaded = 5;

/**
 * Units of systemd, of the machine and of users, in the order in which they are started. While they are stopped each is held, also
 * one that did not run: a timer, a socket or a start of the machine would start it.
 */
export function unitServices(units: readonly TargetUnit[], uid: number): Omit<Services, 'startOne' | 'stopOne'> {
  const systemds = new Map<string | null, Promise<Systemd>>();
  const systemdFor = ({ user }: TargetUnit) => {
    const known = systemds.get(user) ?? systemdOf(user, uid);
    systemds.set(user, known);
    return known;
  };
  /** How often each has started by itself, when it was asked last. */
  const restarts = new Map<string, number>();

  async function reloadAll(some: readonly TargetUnit[]): Promise<void> {
    for (const systemd of new Set(await Promise.all(some.map(systemdFor))))
      if (await systemd.isRunning())
        requireWorked(await systemd.systemctl(['daemon-reload']), 'systemd could not read its units anew');
  }

  async function complaintOf(unit: RunningUnit): Promise<string | undefined> {
    const state = await stateOf(unit, await systemdFor(unit));
    const before = restarts.get(unitText(unit)) ?? state.restarts;
    restarts.set(unitText(unit), state.restarts);
    return complaintAbout(state, state.restarts > before);
  }

  return {
    isEmpty: units.length === 0,
    async look(known = { projects: [] }) {
      const found: RunningUnit[] = [];
      for (const { name, user } of units) {
        if (isAmong(known.units, { name, user })) continue;
        const systemd = await systemdFor({ name, user });
        await requireRunning(systemd);
        found.push({ name, user, ran: ran(await stateOf({ name, user }, systemd)) });
      }
      return { projects: [], units: found };
    },
    async stop({ units: stopping = [] }) {
      // All first, so that a start of the machine in the middle starts nothing.
      for (const unit of stopping) hold({ name: unit.name, account: (await systemdFor(unit)).account }, uid);
      await reloadAll(stopping);
      await allOf([...stopping].reverse(), async (unit) => stopUnit(unit, await systemdFor(unit)));
      return stopping.length === 0 ? 'nothing to stop' : `stopped ${unitsText(stopping)}`;
    },
    async start({ units: starting = [] }) {
      await allOf(starting, async (unit) => release({ name: unit.name, account: (await systemdFor(unit)).account }));
      await reloadAll(starting);
      const wanted = starting.filter((unit) => unit.ran);
      await allOf(wanted, async (unit) => startUnit(unit, await systemdFor(unit)));
      return starting.length === 0 ? 'nothing to start' : `started ${unitsText(starting)}`;
    },
    async complaint({ units: asked = [] }) {
      try {
        for (const unit of asked.filter((each) => each.ran)) {
          const why = await complaintOf(unit);
          if (why !== undefined) return `the unit ${unitText(unit)} ${why}`;
        }
        return undefined;
      } catch (error) {
        return reasonOf(error);
      }
    },
    async lastLines({ units: asked = [] }) {
      const started = asked.filter((each) => each.ran);
      const unwell: RunningUnit[] = [];
      for (const unit of started) if ((await complaintOf(unit)) !== undefined) unwell.push(unit);
      const lines: string[] = [];
      for (const unit of unwell.length > 0 ? unwell : started)
        lines.push(...(await (await systemdFor(unit)).lastLines(unit.name, shownLines)));
      return lines;
    },
  };
}

/** Whether one of them is that unit. */
export function isAmong(units: readonly RunningUnit[] | undefined, { name, user }: TargetUnit): boolean {
  return (units ?? []).some((each) => each.name === name && each.user === user);
}

/** The work is done for each, whatever comes of the others. @throws what the first that failed threw */
async function allOf<T>(each: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const one of each) await work(one).catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

type State = {
  active: string;
  sub: string;
  type: string;
  result: string;
  restarts: number;
  /** It starts by itself, and nobody has tried to since the machine started: its file is new here. */
  isNew: boolean;
  /** Its own condition did not hold, as where a secret is missing that no backup has. */
  isSkipped: boolean;
};

/** @throws Fault `not-found` for a unit that is not there */
async function stateOf(unit: TargetUnit, systemd: Systemd): Promise<State> {
  const properties =
    '--property=LoadState,ActiveState,SubState,Type,Result,NRestarts,UnitFileState,ConditionTimestampMonotonic,ConditionResult';
  const shown = await systemd.systemctl(['show', properties, '--', unit.name]);
  requireWorked(shown, `${unitText(unit)} could not be asked for`);
  const facts = new Map(
    shown.stdout.split('\n').map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const fact = (name: string) => facts.get(name) ?? '';
  if (fact('LoadState') === 'not-found' && fact('ActiveState') === 'inactive')
    throw new Fault('not-found', `There is no unit ${unitText(unit)} here.`, {
      hint: 'Install it first, or change units in the configuration.',
    });
  return {
    active: fact('ActiveState'),
    sub: fact('SubState'),
    type: fact('Type'),
    result: fact('Result'),
    restarts: Number(fact('NRestarts')) || 0,
    isNew: fact('UnitFileState') === 'enabled' && fact('ConditionTimestampMonotonic') === '0',
    isSkipped: fact('ConditionResult') === 'no' && fact('ConditionTimestampMonotonic') !== '0',
  };
}

/**
 * One that has failed was not stopped by anybody, and is meant to run: what it works on may be what a restore mends. Unless
 * it is a task that is done once. One that a bare machine has only just got is meant to run, too.
 */
function ran({ active, type, isNew }: State): boolean {
  if (isNew && type !== 'oneshot') return true;
  if (active === 'failed') return type !== 'oneshot';
  return active !== 'inactive' && active !== 'deactivating';
}

function complaintAbout({ active, sub, type, result, isSkipped }: State, again: boolean): string | undefined {
  if (sub === 'auto-restart' || again) return 'starts again and again';
  if (active === 'active' || active === 'reloading') return undefined;
  if (active === 'failed') return `has failed (${result})`;
  if (active !== 'inactive') return `is ${active}`;
  if (isSkipped) return undefined;
  return type === 'oneshot' && result === 'success' ? undefined : 'has ended';
}

async function stopUnit(unit: TargetUnit, systemd: Systemd): Promise<void> {
  if (!(await systemd.isRunning())) return;
  const stopped = await systemd.systemctl(['stop', '--', unit.name], stopMs);
  // Its file may have been in what was swapped. Then there is nothing that could run.
  if (stopped.code !== notLoaded) requireWorked(stopped, `${unitText(unit)} could not be stopped`);
}

async function startUnit(unit: TargetUnit, systemd: Systemd): Promise<void> {
  await requireRunning(systemd);
  // One that has failed too often would not be started before some time has passed.
  await systemd.systemctl(['reset-failed', '--', unit.name]);
  const started = await systemd.systemctl(['start', '--', unit.name], startMs);
  requireWorked(started, `${unitText(unit)} could not be started`);
}

const unitsText = (units: readonly RunningUnit[]) =>
  units.map((unit) => `${unitText(unit)}${unit.ran ? '' : ' (did not run)'}`).join(', ');
