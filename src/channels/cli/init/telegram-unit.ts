import { join } from 'node:path';
import { closedOff, commandLine, fewCalls, inBoth, unitWord } from '../../../base/systemd-unit.ts';
import { handedOver, telegramPlaces } from '../../telegram/places.ts';
import { busUnitName } from './bus-unit.ts';
import { codesSocketFile, codesSocketName } from './code-units.ts';
import type { Systemd } from './step.ts';
import { type UnitPlace, unitHead } from './unit-text.ts';

/** The unit of the control bot. */
export const telegramUnitName = 'leveredge-telegram.service';

/** Whose process the control bot is in a unit of the system, where this is the user of the bus. */
export function telegramUser(busUser: string): string {
  return `${busUser}-telegram`;
}

/** What `leveredge telegram setup` makes; without one of them the bot cannot work. */
export function telegramFiles(home: string): string[] {
  const { botToken, personToken, serviceToken, settings } = telegramPlaces(home);
  return [botToken, personToken, serviceToken, settings];
}

/** The one folder that it writes to. */
export function telegramFolder(home: string): string {
  return join(home, 'control-plane', 'telegram');
}

/** The unit that runs the control bot of this home, for the system's manager or for that of a user. */
export function telegramUnit(manager: Systemd, place: UnitPlace): string {
  return manager === 'system' ? systemUnit(place) : userUnit(place);
}

function systemUnit({ home, node, program, user }: UnitPlace): string {
  const places = telegramPlaces(home);
  const files = Object.entries(handedOver).map(
    ([name, as]) => `LoadCredential=${as}:${plain(places[name as keyof typeof handedOver])}`,
  );
  return `${unitHead}
[Unit]
Description=LeverEdge control bot (Telegram)
After=network-online.target ${busUnitName} ${codesSocketName}
Wants=network-online.target ${busUnitName} ${codesSocketName}
${onceSetUp(home)}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
User=${user}
Environment=GAIA_CODES_SOCKET=${codesSocketFile}
# Its tokens stay whose they are: systemd hands copies to this service alone.
${files.join('\n')}
ExecStart=${botCommand({ home, node, program })}
${ending}

# It writes to one folder, and sees nothing of what it does not need. Node compiles while it runs, so MemoryDenyWriteExecute
# cannot be set. Telegram has no fixed addresses, so IPAddressDeny is not either.
ReadWritePaths=${unitWord(telegramFolder(home))}
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
# Weaker than the unit that init writes as root: the bot runs with all rights of its user. Without "loginctl enable-linger" it
# ends when the user logs out.
[Unit]
Description=LeverEdge control bot (Telegram, of a user)
After=${busUnitName}
Wants=${busUnitName}
${onceSetUp(home)}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=exec
ExecStart=${botCommand({ home, node, program })}
${ending}
${inBoth}

[Install]
WantedBy=default.target
`;
}

const onceSetUp = (home: string) => `# Skipped until it is set up: leveredge telegram setup
${telegramFiles(home)
  .map((file) => `ConditionFileNotEmpty=${plain(file)}`)
  .join('\n')}`;

/** Where systemd takes the rest of the line as a path, and hears no quotes. */
const plain = (path: string) => path.replaceAll('%', '%%');

const ending = `Restart=on-failure
RestartSec=5
# A mistake in its settings, a token that is refused, nothing set up: starting again mends none of them.
RestartPreventExitStatus=2 3 5
TimeoutStopSec=30
UMask=0077`;

function botCommand({ home, node, program }: Omit<UnitPlace, 'user'>): string {
  return commandLine([node, program, 'telegram', 'bot', '--home', home]);
}
