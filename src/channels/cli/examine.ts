import type { BusFlags, Door } from './door.ts';
import { checkAgents } from './examine/agents.ts';
import { checkBots } from './examine/bots.ts';
import { checkClock, checkHealth, checkSilence, reach } from './examine/bus.ts';
import { checkDatabase } from './examine/database.ts';
import type { Finding } from './examine/finding.ts';
import { checkDisk, checkHome, checkNode, checkSettings } from './examine/home.ts';
import { installationOf, isStranger } from './examine/installation.ts';
import { checkGaia, checkInstalled } from './examine/installed.ts';

/** Every check, in the order in which one builds on the other. Changes nothing on the machine. */
export async function examine(door: Door, flags: BusFlags): Promise<Finding[]> {
  const home = door.findHome(door.home);
  const server = await door.server();
  const file = door.databaseFile(home.dir);
  const mayHoldFiles = door.folder(home.dir).isFolder;
  const installed = mayHoldFiles ? installationOf(home.dir, server) : undefined;
  const findings = [checkNode(door), checkHome(door, home, file, installed)];
  const settings = mayHoldFiles ? await checkSettings(door, flags) : undefined;
  if (settings) findings.push(settings.finding);
  const stranger = isStranger(door, installed);
  const found = mayHoldFiles ? await door.inspectDatabase(file) : undefined;
  // Nobody sees into a folder that is closed to them.
  const database = stranger && found?.kind === 'absent' ? undefined : found;
  if (database) findings.push(checkDatabase(file, database, stranger));
  const reached = await reach(door, flags);
  findings.push(
    reached.health
      ? checkHealth(door, home.dir, database, reached)
      : await checkSilence(door, file, settings?.place, reached, server.hasSystemd ? installed : undefined),
  );
  if (mayHoldFiles) findings.push(checkDisk(door, home.dir));
  findings.push(await checkClock(door, reached));
  if (installed) findings.push(...checkInstalled(door, installed, server), ...checkBots(door, installed, server));
  if (mayHoldFiles) findings.push(...(await checkGaia(door, home.dir, server)));
  if (reached.health) findings.push(...(await checkAgents(door, reached.url, installed, server)));
  return findings;
}
