// What the units that this program writes have in common, whoever writes them.

const usersFolders = /^\/(home|root|run\/user)(\/|$)/;

/** Where everything lies outside of people's folders, a service sees nothing of these. */
function protectHome(paths: readonly string[]): 'read-only' | 'yes' {
  return paths.some((path) => usersFolders.test(path)) ? 'read-only' : 'yes';
}

/** What a service, also one of root, must not change of the machine itself. */
export const machineKept = `ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes`;

/** Lines of a service that sees nothing of what it does not need. `paths`: where its program and its files lie. */
export const closedOff = (paths: readonly string[]) => `ProtectSystem=strict
ProtectHome=${protectHome(paths)}
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
${machineKept}
ProtectProc=invisible
${inBoth}
RemoveIPC=yes`;

/** What needs no right that a user's manager does not have. */
export const inBoth = `NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native`;

/** What a service without rights may ask of the kernel. */
export const fewCalls = `SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM`;

/** A command line as systemd takes one, without variables. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => unitWord(word).replaceAll('$', '$$$$')).join(' ');
}

/** A word as systemd takes one: in quotes where it must be, and with no specifiers. */
export function unitWord(text: string): string {
  const plain = text.replaceAll('%', '%%');
  return /^[\w./:@%+$-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
