import { join } from 'node:path';
import { closedOff, commandLine, fewCalls, inBoth, unitWord } from '../../../base/systemd-unit.ts';
import type { Systemd } from './step.ts';
import { type UnitPlace, unitHead } from './unit-text.ts';

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

function busWords(home: string): string {
  return commandLine(['bus', '--home', home]);
}

function systemUnit({ home, node, program, user }: UnitPlace): string {
  return `${unitHead}
[Unit]
Description=LeverEdge event bus
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
User=${user}
ExecStart=${commandLine([node, program])} ${busWords(home)}
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
${closedOff([home, node, program])}
CapabilityBoundingSet=
AmbientCapabilities=
${fewCalls}

[Install]
WantedBy=multi-user.target
`;
}

function userUnit({ home, node, program }: UnitPlace): string {
  return `${unitHead}
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
ExecStart=${commandLine([node, program])} ${busWords(home)}
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
