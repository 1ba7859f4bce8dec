import { commandLine, unitWord } from '../../../base/systemd-unit.ts';
import { unitHead } from './unit-text.ts';

/** Where agents without rights ask for GAIA, one connection for each thing. */
export const gaiaSocketName = 'leveredge-gaia.socket';
/** Who answers there, one process for each. */
export const gaiaRunnerName = 'leveredge-gaia@.service';
export const gaiaSocketFile = '/run/leveredge/gaia.sock';

/** The socket, which only that user's processes may use. */
export function gaiaSocketUnit(user: string): string {
  return `${unitHead}
[Unit]
Description=LeverEdge: where CHRONOS and HADES ask for GAIA

[Socket]
ListenStream=${gaiaSocketFile}
SocketMode=0660
SocketUser=root
SocketGroup=${user}
Accept=yes
MaxConnections=16
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}

/** GAIA as root, for one thing that was asked for at the socket. */
export function gaiaRunnerUnit({ home, node, gaia }: { home: string; node: string; gaia: string }): string {
  return `${unitHead}
#
# The one unit of LeverEdge that is root and hardly hardened, on purpose: what GAIA backs up belongs to anybody, and what she
# restores is given back to its owners, with units stopped, containers started and databases swapped. Hence the agents are not
# root: they send one line, and a list in GAIA says which commands it may hold. No path, no other configuration, no key.
[Unit]
Description=LeverEdge: GAIA, asked by CHRONOS or HADES
CollectMode=inactive-or-failed

[Service]
Type=exec
User=root
Environment=${unitWord(`LEVEREDGE_HOME=${home}`)}
ExecStart=${commandLine([node, gaia, '__asked'])}
StandardInput=socket
StandardOutput=socket
StandardError=journal
KillMode=mixed
TimeoutStopSec=60
NoNewPrivileges=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
`;
}
