import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';
import { isWhole, listBackups } from '../../recovery/catalog/catalog.ts';
import { clockDoubt, readClock } from '../../recovery/catalog/clock-guard.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { targetServices } from '../../recovery/restore/target-services.ts';
import { leftovers } from '../../recovery/restore/undo.ts';
import { bootId, uptimeSeconds } from '../../recovery/run/live-process.ts';
import { interruptedRuns } from '../../recovery/run/status.ts';
import { childEnv } from '../../recovery/source/child-env.ts';
import { stopsOf } from '../../recovery/target.ts';
import { showSpan } from '../amounts.ts';
import { busFinding } from '../bus-words.ts';
import type { Around, Call, Command } from '../command.ts';
import { type Finding, folderFindings, leftoverFindings } from '../disk-findings.ts';
import { emergencyFindings } from '../emergency/emergency-findings.ts';
import { encryptionFinding } from '../key-reminders.ts';
import { repositoryFindings } from '../repositories.ts';

/** Older than this, a backup is no answer to a bad day. */
const staleMs = 36 * 3_600_000;

/** gaia doctor — looks at everything a restore would need, and says how to mend what is wrong. */
export const doctor: Command = {
  name: 'doctor',
  summary: 'Look at everything that backups and restores need; change nothing',
  usage: '',
  words: [0, 0],
  flags: {},
  details: ['Run it on a good day: each line that is wrong says how to mend it.'],
  example: 'gaia doctor',
  exits: ['0 all is well', '1 something is wrong'],
  async run(call) {
    const findings = [
      ...examine(call),
      ...(await encryptionFindings(call)),
      ...(await findingsOf(call, repositoryFindings)),
      ...(await serviceFindings(call)),
    ];
    const wrong = findings.some(({ level }) => level === 'WRONG');
    return {
      exit: wrong ? Exit.failed : Exit.ok,
      lines: [
        ...findings.flatMap(({ what, level, says, todo }) => [
          `${level.padEnd(5)}  ${what.padEnd(12)}  ${says}`,
          ...(todo === undefined ? [] : [`       ${''.padEnd(12)}  → ${todo}`]),
        ]),
        wrong ? 'Something is wrong.' : 'All is well.',
      ],
      json: { well: !wrong, findings },
    };
  },
};

function examine(call: Call): Finding[] {
  const { around } = call;
  const findings: Finding[] = [
    { what: 'gaia', level: 'ok', says: `${around.version} on Node ${around.nodeVersion}` },
    tarFinding(),
    userFinding(around),
  ];
  let config: RecoveryConfig;
  try {
    config = call.config();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [
      ...findings,
      {
        what: 'config',
        level: 'WRONG',
        says: error.message,
        todo: error.hint ?? 'Mend it in that file; how it looks: docs/recovery.md',
      },
    ];
  }
  const { configFile } = config.place;
  findings.push({
    what: 'config',
    level: 'ok',
    says: `${configFile}: ${config.targets.map(({ name }) => name).join(', ')}`,
  });
  findings.push(...config.notes.map((says): Finding => ({ what: 'config', level: 'note', says })));
  return [
    ...findings,
    ...folderFindings(config),
    ...keyFindings(config),
    ...programFindings(config, around),
    clockFinding(config, around),
    ...targetFindings(config, around),
    ...runFindings(config),
    ...emergencyFindings(config),
    busFinding(config),
  ];
}

const encryptionFindings = (call: Call) => findingsOf(call, async (config) => [await encryptionFinding(config)]);

/** Nothing where the configuration cannot be read, which is told above. */
async function findingsOf({ config }: Call, look: (config: RecoveryConfig) => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look(config());
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [];
  }
}

function tarFinding(): Finding {
  try {
    const version = execFileSync('tar', ['--version'], { env: childEnv, encoding: 'utf8' }).split('\n')[0] ?? '';
    if (version.includes('GNU tar')) return { what: 'tar', level: 'ok', says: version };
    return { what: 'tar', level: 'WRONG', says: `${version} is not GNU tar`, todo: 'apt-get install tar' };
  } catch (error) {
    return {
      what: 'tar',
      level: 'WRONG',
      says: `GNU tar cannot be started: ${reasonOf(error)}`,
      todo: 'apt-get install tar',
    };
  }
}

function userFinding({ uid }: Around): Finding {
  if (uid === 0) return { what: 'user', level: 'ok', says: 'root' };
  return {
    what: 'user',
    level: 'note',
    says: `user ${uid}: files of others can neither be backed up whole nor restored`,
    todo: 'sudo gaia …',
  };
}

/** A bare machine needs the program before anything else. */
function programFindings({ targets }: RecoveryConfig, { program }: Around): Finding[] {
  const own = targets
    .find(({ name }) => name === 'control-plane')
    ?.trees.find(({ name, optional }) => name === 'gaia' && optional);
  if (own === undefined || program !== undefined || existsSync(`${own.root}/bin/gaia`)) return [];
  return [
    {
      what: 'program',
      level: 'note',
      says: 'backups of control-plane that this program makes do not hold it: it is not the executable gaia',
      todo: `Make them with the executable (npm run build: dist/gaia), or put it to ${own.root}/bin/gaia`,
    },
  ];
}

function keyFindings({ place }: RecoveryConfig): Finding[] {
  if (!existsSync(place.signingKey) && !existsSync(place.publicKey))
    return [{ what: 'keys', level: 'note', says: 'none yet; the first backup makes them' }];
  try {
    const key = readPrivately(place.signingKey);
    if (key === undefined)
      return [
        {
          what: 'keys',
          level: 'note',
          says: `${place.signingKey} is not here: backups can be restored, and none made`,
          todo: 'Put it back from where you keep it.',
        },
      ];
  } catch (error) {
    return [
      {
        what: 'keys',
        level: 'WRONG',
        says: reasonOf(error),
        ...(error instanceof Fault && error.hint ? { todo: error.hint } : {}),
      },
    ];
  }
  if (!existsSync(place.publicKey))
    return [{ what: 'keys', level: 'note', says: `${place.publicKey} is missing; the next backup makes it anew` }];
  return [
    {
      what: 'keys',
      level: 'ok',
      says: `${place.publicKey}. Keep a copy elsewhere: a new machine trusts no backup without it`,
    },
  ];
}

function clockFinding({ place, targets }: RecoveryConfig, around: Around): Finding {
  const newest = listBackups(
    place,
    targets.map(({ name }) => name),
  )[0]?.atMs;
  const doubt = clockDoubt(
    { wallMs: around.clock(), bootId: bootId(), uptimeS: uptimeSeconds() },
    readClock(place),
    newest,
  );
  if (doubt === undefined) return { what: 'clock', level: 'ok', says: new Date(around.clock()).toISOString() };
  return {
    what: 'clock',
    level: 'WRONG',
    says: doubt,
    todo: 'timedatectl; if it is right: gaia prune --clock-is-right',
  };
}

function targetFindings({ place, targets }: RecoveryConfig, around: Around): Finding[] {
  return targets.flatMap(({ name, trees }): Finding[] => {
    const missing = trees.filter(
      ({ root, optional }) => optional !== true && !statSync(root, { throwIfNoEntry: false })?.isDirectory(),
    );
    const newest = listBackups(place, [name]).find((backup) => backup.kind === 'sound' && isWhole(backup));
    const folder = missing.map(
      ({ root }): Finding => ({
        what: name,
        level: 'WRONG',
        says: `there is no folder ${root}`,
        todo: `gaia restore ${name}`,
      }),
    );
    if (newest === undefined)
      return [...folder, { what: name, level: 'WRONG', says: 'there is no sound backup', todo: `gaia backup ${name}` }];
    const age = around.clock() - newest.atMs;
    const says = `newest sound backup ${showSpan(age)} old: ${newest.name}`;
    return [
      ...folder,
      age > staleMs
        ? { what: name, level: 'WRONG', says, todo: `gaia backup ${name}` }
        : { what: name, level: 'ok', says },
    ];
  });
}

function runFindings(config: RecoveryConfig): Finding[] {
  const { place } = config;
  try {
    const waiting = interruptedRuns(place);
    const interrupted = waiting.map(
      ({ id, request }): Finding => ({
        what: 'runs',
        level: 'WRONG',
        says: `the ${request.kind} of ${request.target.name} (${id}) was interrupted`,
        todo: 'gaia resume, or gaia resume --back',
      }),
    );
    const kept = leftovers(place).length;
    const undoable: Finding = {
      what: 'runs',
      level: 'note',
      says: `${kept} restores can be undone; what they put aside takes room (gaia status)`,
    };
    const ids = new Set(waiting.map(({ id }) => id));
    return [...interrupted, ...(kept > 0 ? [undoable] : []), ...leftoverFindings(config, ids)];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ what: 'runs', level: 'WRONG', says: error.message, ...(error.hint ? { todo: error.hint } : {}) }];
  }
}

/** Whether what works on the targets could be stopped and started. */
async function serviceFindings(call: Call): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const target of targetsOf(call)) {
    const { name } = target;
    if (stopsOf(target).length === 0) continue;
    try {
      const { projects, units = [] } = await targetServices(target, call.around.uid).look();
      const all = projects.flatMap(({ containers }) => containers);
      const says = [
        ...((target.compose ?? []).length > 0
          ? [`${all.filter(({ running }) => running).length} of ${all.length} containers run`]
          : []),
        ...(units.length > 0
          ? [`${units.length} units, of which a restore starts ${units.filter(({ ran }) => ran).length} again`]
          : []),
      ];
      findings.push({ what: 'services', level: 'ok', says: `${name}: ${says.join(', ')}` });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      findings.push({ what: 'services', level: 'WRONG', says: `${name}: ${error.message}`, todo: error.hint ?? '' });
    }
  }
  return findings;
}

function targetsOf({ config }: Call): RecoveryConfig['targets'] {
  try {
    return config().targets;
  } catch {
    return []; // Told among the others.
  }
}
