import { join } from 'node:path';
import { closedOff, commandLine, fewCalls, unitWord } from '../../base/systemd-unit.ts';
import type { EmergencyFiles } from '../../recovery/config/read-telegram.ts';
import type { Place } from '../../recovery/place.ts';
import { botUser } from './spool.ts';

/** The name that existing installations have for it. */
export const botUnitName = 'gaia-emergency.service';
export const runnerUnitName = 'gaia-runner.service';

export type UnitPlace = {
  /** The words that start GAIA, absolute. */
  program: readonly string[];
  home: string;
  configFile: string;
  tokenFile: string;
  usersFile: string;
  secretFile: string;
  spool: string;
  /** Folders and files that the bot must not even see, whatever their modes. */
  closed: readonly string[];
};

/** What both units name. `program`: the words that start GAIA, absolute. */
export function unitPlace(
  program: readonly string[],
  home: string,
  {
    place: { configFile, backups },
    emergency,
  }: { place: Pick<Place, 'configFile' | 'backups'>; emergency: EmergencyFiles },
): UnitPlace {
  const { tokenFile, usersFile, secretFile, spool } = emergency;
  const folders = [join(home, 'gaia'), backups, join(home, 'shared', 'credentials')];
  const elsewhere = [configFile, secretFile].filter((file) => !folders.some((each) => file.startsWith(`${each}/`)));
  const closed = [...folders, ...elsewhere];
  return { program, home, configFile, tokenFile, usersFile, secretFile, spool, closed };
}

/** The unit of the bot: a user of its own, nothing to write to but its two folders, nothing to read but what it needs. */
export function botUnit(place: UnitPlace): string {
  const { program, tokenFile, usersFile, spool } = place;
  return `# Printed by gaia bot --unit. What it means: docs/emergency-bot.md of LeverEdge.
[Unit]
Description=LeverEdge emergency bot (GAIA on Telegram)
After=network-online.target ${runnerUnitName}
Wants=network-online.target ${runnerUnitName}
${onceSetUp(place)}
# It must be there on the worst day: it is started again and again, for ever.
StartLimitIntervalSec=0

[Service]
Type=exec
User=${botUser}
Group=${botUser}
# Root's files, which systemd hands to this service alone: the user of the bot can read neither where they lie.
LoadCredential=telegram_token:${tokenFile.replaceAll('%', '%%')}
LoadCredential=authorized_users:${usersFile.replaceAll('%', '%%')}
ExecStart=${commandLine([...program, 'bot', '--spool', spool])}
Restart=always
RestartSec=5
TimeoutStopSec=25
UMask=0077
MemoryMax=192M
TasksMax=64

${nothingCompiled(place)}
# Both must be there, which the runner's unit sees to: a folder that was made after this began would be one to read only.
ReadWritePaths=${unitWord(`${spool}/requests`)} ${unitWord(`${spool}/bot`)}
${hidden(place)}${closedOff([...program, spool])}
ProcSubset=pid
CapabilityBoundingSet=
AmbientCapabilities=
${fewCalls}

[Install]
WantedBy=multi-user.target
`;
}

/** The executable is what it is. A launcher may find sources, for which Node must compile what takes their types away. */
function nothingCompiled({ program }: UnitPlace): string {
  if (program.length > 1) return '# Node may compile while it runs, so MemoryDenyWriteExecute cannot be set.';
  return `# Node compiles nothing while it runs, so nothing that is written to memory need be executed.
Environment=NODE_OPTIONS=--jitless
MemoryDenyWriteExecute=yes`;
}

/** What the bot has to pass through cannot be hidden from it. */
function hidden({ closed, program, spool }: UnitPlace): string {
  const isNeeded = (folder: string) => [...program, spool].some((path) => path.startsWith(`${folder}/`));
  const folders = closed.filter((folder) => !isNeeded(folder));
  return folders.length === 0 ? '' : `InaccessiblePaths=${folders.map((path) => unitWord(`-${path}`)).join(' ')}\n`;
}

/** The unit of the runner, which is root, and hears nobody but the spool. */
export function runnerUnit(place: UnitPlace): string {
  const { program, home, configFile } = place;
  return `# Printed by gaia runner --unit. What it means: docs/emergency-bot.md of LeverEdge.
#
# It is root: a restore gives files to their owners, swaps folders of others, and stops and starts what works on them. It listens
# on nothing, and reads what the bot asks from files of a fixed form. Restores are units of their own (systemd-run), so neither
# the end of this one nor its limits touch them.
[Unit]
Description=LeverEdge runner (does what the emergency bot forwards, once it is confirmed)
${onceSetUp(place)}
StartLimitIntervalSec=0

[Service]
Type=exec
Environment=${unitWord(`LEVEREDGE_HOME=${home}`)}
# The bot's unit begins after this.
ExecStartPre=${commandLine([...program, 'runner', '--prepare', '--config', configFile])}
ExecStart=${commandLine([...program, 'runner', '--config', configFile])}
Restart=always
RestartSec=5
# Wrong settings, a secret that others can read, another one that runs: starting again mends none of them.
RestartPreventExitStatus=2 3 6
# Where there is no systemd-run, a restore is a process of this group, and goes on.
KillMode=process
TimeoutStopSec=15
UMask=0077

ProtectSystem=full
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
# What is left serves backups and drills: files of all owners, and containers of Podman, which are processes of this one.
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_BOOT CAP_SYS_TIME CAP_SYSLOG CAP_SYS_PACCT CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_LEASE CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_MAC_ADMIN CAP_MAC_OVERRIDE
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** Neither is of use before all three are there, and both would end at once again and again. */
const onceSetUp = ({ tokenFile, usersFile, secretFile }: UnitPlace) =>
  `# Skipped until it is set up: docs/emergency-bot.md
${[tokenFile, usersFile, secretFile].map((file) => `ConditionFileNotEmpty=${file.replaceAll('%', '%%')}`).join('\n')}`;
