import { Fault } from '../base/fault.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { findBus } from '../recovery/events/find-bus.ts';
import { outboxState } from '../recovery/events/outbox.ts';
import type { Finding } from './disk-findings.ts';

/** What waits for the bus in one line, or none when nothing does; `json` has the numbers always. */
export function busLines({ place }: RecoveryConfig): { lines: string[]; json: Record<string, unknown> } {
  const { waiting, refused, dropped, why } = outboxState(place);
  const says = [...(waiting > 0 ? [waitingText(waiting, why)] : []), ...othersText(refused, dropped)];
  return {
    lines: says.length > 0 ? [`Bus: ${says.join('; ')}.`] : [],
    json: { waiting, refused, dropped, why: why ?? null },
  };
}

/** Whether the bus would hear of backups and restores, and what waits for it. */
export function busFinding({ place, bus: setting }: RecoveryConfig): Finding {
  const { waiting, refused, dropped, why, folder } = outboxState(place);
  const says = [waitingText(waiting, why), ...othersText(refused, dropped)].join('; ');
  if (setting === 'none') return { what: 'bus', level: 'ok', says: 'it is told nothing, as configured' };
  try {
    const bus = findBus(place, setting);
    const at = bus?.url ?? 'none runs on this home';
    const level = waiting + refused > 0 ? 'note' : 'ok';
    if (refused > 0)
      return {
        what: 'bus',
        level,
        says: `${at}; ${says}`,
        todo: `Look at ${folder}/refused, and remove what is there.`,
      };
    if (waiting > 0 && bus === undefined)
      return { what: 'bus', level, says: `${at}; ${says}`, todo: 'If there is none: bus: none in the configuration' };
    return { what: 'bus', level, says: `${at}; ${says}` };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return {
      what: 'bus',
      level: 'WRONG',
      says: `${error.message} ${says}`,
      todo: error.hint ?? 'See docs/recovery.md',
    };
  }
}

function waitingText(waiting: number, why: string | undefined): string {
  if (waiting === 0) return 'no event waits';
  return `${waiting} ${waiting === 1 ? 'event waits' : 'events wait'} for it${why === undefined ? '' : ` (${why})`}`;
}

function othersText(refused: number, dropped: number): string[] {
  return [
    ...(refused > 0 ? [`it refused ${refused}`] : []),
    ...(dropped > 0 ? [`${dropped} older ones gave way`] : []),
  ];
}
