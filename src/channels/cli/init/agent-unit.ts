import { join } from 'node:path';
import { closedOff, commandLine, fewCalls, inBoth, unitWord } from '../../../base/systemd-unit.ts';
import type { AgentName } from '../door.ts';
import { credentialsIn } from '../find-token.ts';
import { busUnitName } from './bus-unit.ts';
import { gaiaSocketFile, gaiaSocketName } from './gaia-units.ts';
import type { Systemd } from './step.ts';
import { type UnitPlace, unitHead } from './unit-text.ts';

/** The name that existing installations and backups have for it. */
export function agentUnitName(name: AgentName): string {
  return `${name}.service`;
}

/** Where its token lies, which init makes. */
export function agentTokenFile(home: string, name: AgentName): string {
  return join(credentialsIn(home), `${name.toUpperCase()}.token`);
}

/** Those who have GAIA work for them, and look at what she wrote. */
const withGaia: readonly AgentName[] = ['chronos', 'hades'];

/** Whose process an agent is in a unit of the system, where this is the user of the bus. */
export function agentUser(busUser: string, name: AgentName): string {
  return `${busUser}-${withGaia.includes(name) ? 'recovery' : name}`;
}

/** The unit that runs one agent of this home, for the system's manager or for that of a user. */
export function agentUnit(manager: Systemd, name: AgentName, place: UnitPlace): string {
  return manager === 'system' ? systemUnit(name, place) : userUnit(name, place);
}

function systemUnit(name: AgentName, { home, node, program, user }: UnitPlace): string {
  const hasGaia = withGaia.includes(name);
  const needs = [busUnitName, ...(hasGaia ? [gaiaSocketName] : [])].join(' ');
  return `${unitHead}
[Unit]
Description=LeverEdge ${name.toUpperCase()}
After=${needs}
Wants=${needs}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
User=${user}
ExecStart=${agentCommand(name, { home, node, program })}
${ending}

# It writes to no file${name === 'chronos' ? ' but its own notes' : ''}, and sees nothing of what it does not need. Node compiles while it runs, so MemoryDenyWriteExecute
# cannot be set. Where the bus is stands in config/leveredge.yaml, so IPAddressDeny is not either. Of all the tokens it sees its
# own alone.
TemporaryFileSystem=${unitWord(credentialsIn(home))}
BindReadOnlyPaths=${unitWord(agentTokenFile(home, name))}
${closedOff([home, node, program])}
${hasGaia ? readsAll(home) : 'CapabilityBoundingSet=\nAmbientCapabilities='}
${name === 'chronos' ? `${ownNotes}\n` : ''}${fewCalls}

[Install]
WantedBy=multi-user.target
`;
}

const ownNotes = `# What the backups do not show of its schedule. Those beside the backups are root's.
StateDirectory=leveredge-chronos
StateDirectoryMode=0700
Environment=CHRONOS_NOTES=%S/leveredge-chronos`;

const readsAll = (
  home: string,
) => `# GAIA backs up and restores as root, and is not below this process: it asks for her at a socket, where a list says what it
# may ask for. Of her configuration and catalog, which are root's, it reads what it needs; her keys it does not see.
Environment=GAIA_SOCKET=${gaiaSocketFile}
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
AmbientCapabilities=CAP_DAC_READ_SEARCH
InaccessiblePaths=${secretsOf(home)
  .map((path) => unitWord(`-${path}`))
  .join(' ')}`;

const secretFiles = [
  '.signing_key',
  '.identity',
  '.2fa_secret',
  '.2fa_backup_codes',
  '.telegram_token',
  // With it a repository is not only read but emptied.
  '.restic-password',
];

/** What is not there is not missed. */
function secretsOf(home: string): string[] {
  return secretFiles.map((name) => join(home, 'gaia', name));
}

function userUnit(name: AgentName, place: UnitPlace): string {
  return `${unitHead}
#
# Weaker than the unit that init writes as root: the agent runs with all rights of its user, and so does GAIA below it where
# it is one that has her work. Without "loginctl enable-linger" it ends when the user logs out.
[Unit]
Description=LeverEdge ${name.toUpperCase()} (of a user)
After=${busUnitName}
Wants=${busUnitName}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${agentCommand(name, place)}
${ending}
${withGaia.includes(name) ? belowGaia : inBoth}

[Install]
WantedBy=default.target
`;
}

/** GAIA gives files back their setuid bits, and podman needs namespaces and programs with more rights. */
const belowGaia = `RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native`;

const ending = `Restart=on-failure
RestartSec=2
# A mistake in this file, a token that the bus refuses: starting again mends neither.
RestartPreventExitStatus=2 3
# What is below it is asked to end by the agent, when its time is over.
KillMode=mixed
TimeoutStopSec=60
UMask=0077`;

function agentCommand(name: AgentName, { home, node, program }: Omit<UnitPlace, 'user'>): string {
  return commandLine([node, program, 'agent', name, '--home', home, '--token-file', agentTokenFile(home, name)]);
}
