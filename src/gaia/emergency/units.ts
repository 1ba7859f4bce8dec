import { botUser } from './spool.ts';

const runnerUnitName = 'gaia-runner.service';

export type UnitPlace = {
  /** The words that start GAIA, absolute. */
  program: readonly string[];
  home: string;
  configFile: string;
  tokenFile: string;
  usersFile: string;
  spool: string;
  /** Folders and files that the bot must not even see, whatever their modes. */
  closed: readonly string[];
};

/** The unit of the bot: a user of its own, nothing to write to but its two folders, nothing to read but what it needs. */
export function botUnit({ program, tokenFile, usersFile, spool, closed }: UnitPlace): string {
  const needed = [...program, spool];
  return `# Printed by gaia bot --unit. What it means: docs/emergency-bot.md of LeverEdge.
[Unit]
Description=LeverEdge emergency bot (GAIA on Telegram)
After=network-online.target ${runnerUnitName}
Wants=network-online.target ${runnerUnitName}
# It must be there on the worst day: it is started again and again, for ever.
StartLimitIntervalSec=0

[Service]
Type=exec
User=${botUser}
Group=${botUser}
# Root's files, which systemd hands to this service alone: the user of the bot can read neither where they lie.
LoadCredential=telegram_token:${tokenFile.replaceAll('%', '%%')}
LoadCredential=authorized_users:${usersFile.replaceAll('%', '%%')}
ExecStart=${command([...program, 'bot', '--spool', spool])}
Restart=always
RestartSec=5
TimeoutStopSec=25
UMask=0077
MemoryMax=192M
TasksMax=64

# It has little to do, so Node compiles nothing while it runs, and nothing that is written to memory can be executed.
Environment=NODE_OPTIONS=--jitless
MemoryDenyWriteExecute=yes
ReadWritePaths=${word(`-${spool}/requests`)} ${word(`-${spool}/bot`)}
${hidden(closed, needed)}ProtectSystem=strict
ProtectHome=${needed.some((path) => /^\/(home|root|run\/user)\//.test(path)) ? 'read-only' : 'yes'}
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

/** What the bot has to pass through cannot be hidden from it. */
function hidden(closed: readonly string[], needed: readonly string[]): string {
  const folders = closed.filter((folder) => !needed.some((path) => `${path}/`.startsWith(`${folder}/`)));
  return folders.length === 0 ? '' : `InaccessiblePaths=${folders.map((folder) => word(`-${folder}`)).join(' ')}\n`;
}

/** The unit of the runner, which is root, and hears nobody but the spool. */
export function runnerUnit({ program, home, configFile }: UnitPlace): string {
  return `# Printed by gaia runner --unit. What it means: docs/emergency-bot.md of LeverEdge.
#
# It is root: a restore gives files to their owners, swaps folders of others, and stops and starts what works on them. It listens
# on nothing, and reads what the bot asks from files of a fixed form. Restores are units of their own (systemd-run), so neither
# the end of this one nor its limits touch them.
[Unit]
Description=LeverEdge runner (does what the emergency bot forwards, once it is confirmed)
StartLimitIntervalSec=0

[Service]
Type=exec
Environment=${word(`LEVEREDGE_HOME=${home}`)}
ExecStart=${command([...program, 'runner', '--config', configFile])}
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

const command = (words: readonly string[]) => words.map((each) => word(each).replaceAll('$', '$$$$')).join(' ');

/** A word as systemd takes one: in quotes where it must be, and with no specifiers. */
function word(text: string): string {
  const plain = text.replaceAll('%', '%%');
  return /^[\w./:@%+$=-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
