import { commandLine, machineKept, unitWord } from '../../../base/systemd-unit.ts';
import { credentialsIn } from '../find-token.ts';
import { unitHead } from './unit-text.ts';

/** Where the control bot, as a user without rights, has GAIA judge a code: one connection for each. */
export const codesSocketName = 'leveredge-codes.socket';
/** Who judges there. */
export const codesServiceName = 'leveredge-codes@.service';
/** What the bot finds in GAIA_CODES_SOCKET. */
export const codesSocketFile = '/run/leveredge/codes.sock';

/** The socket, which only processes of that group may use: the bot's, and not those of the agents. */
export function codesSocketUnit(group: string): string {
  return `${unitHead}
[Unit]
Description=LeverEdge: where the control bot has codes judged

[Socket]
ListenStream=${codesSocketFile}
SocketMode=0660
SocketUser=root
SocketGroup=${group}
Accept=yes
MaxConnections=4
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}

/** GAIA as root, for one code. She reads the secret, and writes down what was tried, so that both bots have one guard. */
export function codesServiceUnit({ home, node, gaia }: { home: string; node: string; gaia: string }): string {
  return `${unitHead}
#
# It is root, because the secret and what was tried are root's. It answers with right or wrong, and signs what was right: it
# starts nothing, restores nothing, and reaches no network.
[Unit]
Description=LeverEdge: GAIA judges a code
CollectMode=inactive-or-failed

[Service]
Type=exec
User=root
Environment=${unitWord(`LEVEREDGE_HOME=${home}`)}
ExecStart=${commandLine([node, gaia, '__code'])}
StandardInput=socket
StandardOutput=socket
StandardError=journal
TimeoutStopSec=20
UMask=0077

# What she writes lies beside the backups, wherever those are, and the key by which the bus knows her in ${unitWord(credentialsIn(home))},
# a folder of another user.
ProtectSystem=full
PrivateNetwork=yes
PrivateTmp=yes
PrivateDevices=yes
${machineKept}
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=CAP_DAC_OVERRIDE
`;
}
