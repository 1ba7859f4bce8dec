import { shellWord } from '../../../base/shell-word.ts';
import { agentUser } from './agent-unit.ts';
import { busUnitName } from './bus-unit.ts';
import { emergencyUnits } from './emergency-units.ts';
import type { Needs, Step, Systemd } from './step.ts';
import { telegramUnitName } from './telegram-unit.ts';

export type HomePage = {
  home: string;
  version: string;
  /** Whose process the bus is, where a unit of the system runs it. */
  user: string | undefined;
  /** What systemd runs here, or once it is set up, the bus first; empty where everything is started by hand. */
  units: readonly Pick<Extract<Step, { kind: 'service' }>, 'unit' | 'manager' | 'heard' | 'needs'>[];
  url: string;
};

/** README.md of a home: for whoever comes to this server and has never seen it. */
export function homePage(page: HomePage): string {
  const { home, version, url } = page;
  return `# This server

It is looked after by LeverEdge ${version}. \`leveredge init\` has written this page, and never changes it again: write into it
what is particular here.

## Architecture

An event bus, at ${url}, where programs say what happened, hear what they subscribed to, and ask people.
Agents, which hear it: ATLAS tells how all is doing, CHRONOS backs up before a change, HADES asks to roll back after a failure.
And GAIA, \`gaia\`, which backs up and restores the folders, databases and services named in \`gaia/config.yaml\`. More:
[control-plane/docs/ARCHITECTURE.md](control-plane/docs/ARCHITECTURE.md).

## Directories

| | |
|---|---|
${directories}

## Quick start

\`\`\`sh
export LEVEREDGE_HOME=${shellWord(home)}
${start(page)}
leveredge doctor            # is all well? Says how to mend what is not
leveredge agents            # who is there
leveredge events            # what happened
leveredge pending           # what waits for a person
gaia doctor                 # the same for backups
gaia backup full            # the first backup
gaia list
\`\`\`

Put the first line into your shell's profile. ${who(page)}

${phone(page)}Secrets are in no backup before it is encrypted. Do that today, and keep what it writes away from this machine:

\`\`\`sh
gaia key new /media/usb/recovery-key.txt
gaia kit --identity /media/usb/recovery-key.txt --out /media/usb
\`\`\`

## Emergency procedures

Nothing here removes anything: what is there now is put aside, and \`gaia undo\` brings it back.

| | |
|---|---|
| What is there? Take a **sound** one | \`gaia list\` |
| Is it whole? | \`gaia verify latest --target prod\` |
| What would happen? | \`gaia plan prod\` |
| Restore one target (\`control-plane\`, \`prod\`, \`dev\`) | \`gaia restore prod\` |
| Restore all | \`gaia restore full\` |
| It is encrypted, and no key is here | \`gaia restore prod --identity recovery-kit.txt\` |
| The connection broke: look again | \`gaia status --follow\` |
| It was interrupted (power, kill): go on, or back | \`gaia resume\`, or \`gaia resume --back\` |
| It was the wrong one | \`gaia undo prod\` |
| The bus does not answer | \`leveredge doctor\`${log(page, busUnitName)} |
| An agent is lost | \`leveredge doctor\`${log(page, 'hades.service')} |
| The machine is gone | on a new one: \`sh bootstrap.sh --backups FOLDER --kit recovery-kit.txt\`, which lies beside the recovery kit |

Without GAIA: each archive says in its \`RESTORE.txt\` how it is restored by hand; \`gaia runbook latest --target prod\` prints
that as commands. Print it today. Never copy the folder of a running database, and never remove what a restore put aside
before the new state has worked for a day.
`;
}

/** ARCHITECTURE.md of a home: what works here, on which files, with which rights. */
export function architecturePage(page: HomePage): string {
  const { units, url } = page;
  return `# How this server is made

\`\`\`
  programs, scripts ──► the event bus, ${url} ──► who subscribed
  people            ◄─► questions and answers          │      agents among them: ATLAS, CHRONOS, HADES
                                                   control-plane/event-bus/events.db

  gaia ──► shared/backups/<target>/      outside of all that: needs no bus, no containers, no database
\`\`\`

**The bus** ${runs(page)}
It keeps everything in one SQLite database, \`control-plane/event-bus/events.db\`, and what it answered for is on disk. Its settings are \`config/leveredge.yaml\`, its log is where its standard error goes. It writes to
\`control-plane/event-bus/\` and \`shared/credentials/\`, and nowhere else.

**The agents** ${agentsRun(page)}

**GAIA** is started by a person, an agent or a timer, works, and ends. It reads \`gaia/config.yaml\`. What is backed up and restored
as one is a target: \`control-plane\`, and each folder of \`data-plane/\` that is named there. A backup counts once it was read
back whole. A restore brings all of a target back or nothing of it.

**Secrets** lie in \`shared/credentials/\` (tokens, the key that signs the bus' checkpoints) and in \`gaia/\` (files that begin
with a dot), one a file, mode 0600. \`leveredge init\` makes those of the agents, and each program its own the first time it needs one.

**What runs by itself**: ${byItself(units)}
A backup is made when somebody makes one, before a change that is announced on the bus (CHRONOS), or by a timer that you set for
\`gaia backup full\`. The folders \`n8n\`, \`agents\`, \`workflows\`, \`dashboards\`, \`scripts\`, \`templates\` and \`monitoring\` are places
for what this server gets; so far nothing reads them but the backups.
`;
}

const directories = [
  ['gaia/', '`config.yaml`: what is backed up; the keys of backups'],
  ['config/', '`leveredge.yaml`: settings of the bus'],
  ['control-plane/event-bus/', 'the database of the bus. Not to be copied while it runs: `leveredge backup`'],
  ['control-plane/n8n/, agents/, workflows/, dashboards/', 'what steers the others'],
  ['control-plane/docs/', 'about this server'],
  ['data-plane/prod/, data-plane/dev/', 'what does the work: one folder, one target of GAIA'],
  ['shared/credentials/', 'tokens and keys, each 0600'],
  ['shared/backups/', 'backups, a folder a target; `event-bus/` has what `leveredge backup` made'],
  ['shared/scripts/, shared/templates/', 'what several of them use'],
  ['monitoring/prometheus/, monitoring/grafana/', 'what watches'],
]
  .map(([path, what]) => `| \`${path?.replaceAll(', ', '`, `')}\` | ${what} |`)
  .join('\n');

/** The command that starts these units, now and at each start of the machine. */
export function startCommand(units: readonly { unit: string; manager: Systemd; needs?: Needs }[]): string {
  // What is to be set up first says itself how it is started.
  const ready = units.filter(({ needs }) => needs === undefined);
  const call = units[0]?.manager === 'user' ? 'systemctl --user' : 'systemctl';
  return `${call} daemon-reload && ${call} enable --now ${ready.map(({ unit }) => unit).join(' ')}`;
}

function start({ units }: HomePage): string {
  if (units.length > 0) return startCommand(units);
  return 'leveredge up                # bus and agents, until Ctrl-C; here in a terminal of its own';
}

function byItself(units: HomePage['units']): string {
  if (units.length === 0) return 'nothing yet.';
  const list = (some: HomePage['units']) => some.map(({ unit }) => `\`${unit}\``).join(', ');
  const later = units.filter(({ needs }) => needs !== undefined);
  const once = later.length === 0 ? '' : `Once the bots are set up, also ${list(later)}.`;
  return [`${list(units.filter(({ needs }) => needs === undefined))}, and nothing else.`, once].join(' ').trimEnd();
}

/** What a person sets up who wants to be reached. */
function phone({ home, units }: HomePage): string {
  const names = units.flatMap(({ unit, needs }) => (needs === undefined ? [] : unit));
  if (!names.includes(telegramUnitName)) return '';
  const emergency = names.includes(emergencyUnits.bot)
    ? '\nTo restore by phone when all else is down: `leveredge doctor` names what the emergency bot needs, step by step.\n'
    : '';
  return `To be asked and told on your phone: \`leveredge telegram setup --home ${shellWord(home)}\`.\n${emergency}\n`;
}

function log({ units }: HomePage, name: string): string {
  const found = units.find(({ unit }) => unit === name);
  if (found === undefined) return '';
  return `, then \`journalctl ${found.manager === 'user' ? '--user ' : ''}-u ${name} -n 50\``;
}

function who({ home, user, units: [unit] }: HomePage): string {
  if (user !== undefined)
    return `What makes files for the bus is done as its user: \`sudo -u ${user} leveredge backup --home ${shellWord(home)}\`. Backups and restores are root's.`;
  return unit === undefined
    ? 'No unit starts the bus; `leveredge init --units system`, as root, would write one.'
    : 'The bus ends when its user logs out, unless `loginctl enable-linger` was called once.';
}

function runs({ units: [unit], user }: HomePage): string {
  if (unit === undefined) return 'is one process, started by hand (`leveredge up`, or `leveredge bus` alone).';
  if (unit.manager === 'user')
    return `is one process, run by \`${unit.unit}\` of a user's own systemd, with all rights of that user.`;
  return `is one process, run by \`${unit.unit}\` as the user \`${user}\`, which can do little else.`;
}

function agentsRun({ units, user }: HomePage): string {
  const all = units.flatMap(({ unit, heard }) => (typeof heard === 'object' ? [`\`${unit}\` (${heard.agent})`] : []));
  if (all.length === 0)
    return 'have no unit here. `leveredge up` runs them with the bus, `leveredge agent NAME` one of them.';
  const list = `are a process each: ${all.join(', ')}.`;
  if (user === undefined) return `${list} They have all rights of the user whose systemd runs them.`;
  const [atlas, recovery] = [agentUser(user, 'atlas'), agentUser(user, 'hades')];
  return `${list} ATLAS runs as \`${atlas}\`, the others as \`${recovery}\`, which can read and not write.
They ask for GAIA, who is root, at a socket (\`leveredge-gaia.socket\`), and a list says what they may ask for.`;
}
