import { join } from 'node:path';
import { shellWord } from '../../../base/shell-word.ts';
import type { Door } from '../door.ts';
import { agentTokenFile } from '../init/agent-unit.ts';
import { isOurs } from '../init/judge.ts';
import type { Server, Step, UnitState } from '../init/step.ts';
import { telegramUnitName } from '../init/telegram-unit.ts';
import type { Finding } from './finding.ts';
import { agentOfToken, type Installation, initCommand, journalctl, systemctl, telegramSetup } from './installation.ts';

/** What an agent ends with when the bus refuses its token. */
const refusedExit = 3;

/** Whether systemd has this unit as it should; undefined where it has, or where that is told of its file. */
export function checkService(
  { unit, manager, heard }: Extract<Step, { kind: 'service' }>,
  door: Door,
  installation: Installation,
  server: Server,
): Finding | undefined {
  const found = server.look(join(server.units[manager], unit));
  if (!server.hasSystemd)
    return heard === 'health'
      ? { check: 'units', state: 'note', says: 'systemd does not run here, so no unit was looked at' }
      : undefined;
  if (found.kind !== 'file' || !isOurs(found.text)) return undefined;
  const state = server.unitState(unit, manager);
  const call = systemctl(door, installation);
  const wrong = (says: string, ...todo: string[]): Finding => ({
    ...{ check: 'units', state: 'wrong', says: `${unit} ${says}`, todo: todo.join('\n') },
  });
  if (state.isStale)
    return wrong('was changed since systemd read it', `${call} daemon-reload`, `${call} restart ${unit}`);
  if (!state.runs) return wrong(...whyNot(unit, heard, state, door, installation));
  if (!state.isEnabled) return wrong('does not start with the machine', `${call} enable ${unit}`);
  return undefined;
}

function whyNot(
  unit: string,
  heard: Extract<Step, { kind: 'service' }>['heard'],
  { exit, isEnabled }: UnitState,
  door: Door,
  installation: Installation,
): [says: string, ...todo: string[]] {
  const call = systemctl(door, installation);
  const enable = isEnabled ? [] : [`${call} enable ${unit}`];
  const again = `${call} reset-failed ${unit} && ${call} restart ${unit}`;
  if (exit === undefined) return ['does not run', ...enable, `${call} start ${unit}`];
  const agent = typeof heard === 'object' ? agentOfToken(`${heard.agent}.token`) : undefined;
  if (exit === refusedExit && agent !== undefined) {
    const file = shellWord(agentTokenFile(installation.home, agent));
    const sudo = call.startsWith('sudo ') ? 'sudo ' : '';
    return ['has ended: the bus refuses its token', `${sudo}rm ${file}`, initCommand(door, installation), again];
  }
  if (exit === refusedExit && unit === telegramUnitName)
    return [
      'has ended: Telegram or the bus refuses its token',
      journalctl(door, installation, unit),
      telegramSetup(door, installation),
    ];
  return [`has failed (exit ${exit})`, ...enable, journalctl(door, installation, unit), again];
}
