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
};

/** What both units name. `program`: the words that start GAIA, absolute. */
export function unitPlace(
  program: readonly string[],
  home: string,
  { place: { configFile }, emergency }: { place: Pick<Place, 'configFile' | 'backups'>; emergency: EmergencyFiles },
): UnitPlace {
  const { tokenFile, usersFile, secretFile, spool } = emergency;
  return { program, home, configFile, tokenFile, usersFile, secretFile, spool };
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

# Node compiles while it runs, so MemoryDenyWriteExecute cannot be set.
ReadWritePaths=${unitWord(`-${spool}/requests`)} ${unitWord(`-${spool}/bot`)}
${closedOff([...program, spool])}
ProcSubset=pid
CapabilityBoundingSet=
AmbientCapabilities=
${fewCalls}

[Install]
WantedBy=multi-user.target
`;
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

[Install]
WantedBy=multi-user.target
`;
}

/** Neither is of use before all three are there, and both would end at once again and again. */
const onceSetUp = ({ tokenFile, usersFile, secretFile }: UnitPlace) =>
  `# Skipped until it is set up: docs/emergency-bot.md
${[tokenFile, usersFile, secretFile].map((file) => `ConditionFileNotEmpty=${file.replaceAll('%', '%%')}`).join('\n')}`;
