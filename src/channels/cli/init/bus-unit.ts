import { join } from 'node:path';
import type { Systemd } from './step.ts';

export type UnitPlace = {
  home: string;
  node: string;
  program: string;
  /** Whose process it is, for a unit of the system. */
  user: string;
};

/** The name that existing installations and backups have for it. */
export const busUnitName = 'event-bus.service';

/** The folders of a home that the bus writes to; all else it only reads. */
function busFolders(home: string): string[] {
  return [join(home, 'control-plane', 'event-bus'), join(home, 'shared', 'credentials')];
}

/** The unit that runs the bus of this home, for the system's manager or for that of a user. */
export function busUnit(manager: Systemd, place: UnitPlace): string {
  return manager === 'system' ? systemUnit(place) : userUnit(place);
}

const usersFolders = /^\/(home|root|run\/user)(\/|$)/;

function systemUnit({ home, node, program, user }: UnitPlace): string {
  // Where everything lies outside of people's folders, the bus sees nothing of these.
  const protectHome = [home, node, program].some((path) => usersFolders.test(path)) ? 'read-only' : 'yes';
  return `# Written by leveredge init, which never changes it again. What it means: docs/init.md of LeverEdge.
[Unit]
Description=LeverEdge event bus
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
User=${user}
ExecStart=${command(node, program, home)}
Restart=on-failure
RestartSec=2
# Wrong settings, a taken port or home, a damaged database: starting again mends none of them.
RestartPreventExitStatus=2 6 7
TimeoutStopSec=30
LimitNOFILE=8192
UMask=0077

# It writes to two folders, and sees nothing of what it does not need. Node compiles while it runs, so
# MemoryDenyWriteExecute cannot be set. Where it listens is up to config/leveredge.yaml, so IPAddressDeny is not either.
ReadWritePaths=${busFolders(home).map(unitWord).join(' ')}
ProtectSystem=strict
ProtectHome=${protectHome}
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
${inBoth}
RemoveIPC=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}

function userUnit({ home, node, program }: UnitPlace): string {
  return `# Written by leveredge init, which never changes it again. What it means: docs/init.md of LeverEdge.
#
# Weaker than the unit that init writes as root: the bus runs with all rights of its user, so it could read and change
# whatever that user can, and whatever else that user runs can read and change the bus' files. Without
# "loginctl enable-linger" it ends when the user logs out.
[Unit]
Description=LeverEdge event bus (of a user)
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${command(node, program, home)}
Restart=on-failure
RestartSec=2
# Wrong settings, a taken port or home, a damaged database: starting again mends none of them.
RestartPreventExitStatus=2 6 7
TimeoutStopSec=30
UMask=0077
${inBoth}

[Install]
WantedBy=default.target
`;
}

/** What needs no right that a user's manager does not have. */
const inBoth = `NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native`;

function command(node: string, program: string, home: string): string {
  return [node, program, 'bus', '--home', home].map((word) => unitWord(word).replaceAll('$', '$$$$')).join(' ');
}

/** A word as systemd takes one: in quotes where it must be, and with no specifiers. */
function unitWord(text: string): string {
  const plain = text.replaceAll('%', '%%');
  return /^[\w./:@%+$-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
