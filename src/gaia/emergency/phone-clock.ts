import { rfc3339 } from '../../base/clock.ts';
import { listBackups } from '../../recovery/catalog/catalog.ts';
import { clockDoubt, readClock } from '../../recovery/catalog/clock-guard.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { bootId, uptimeSeconds } from '../../recovery/run/live-process.ts';
import { showSpan } from '../amounts.ts';

/** So long a code may be under way; it is out of date then anyway. */
const maxCodeAgeMs = 90_000;
/** Telegram's clock counts whole seconds, and its message takes a moment. */
const maxAheadMs = 60_000;
/** What was asked longer ago is not done all of a sudden, when a bot that was down comes up. */
const maxAskAgeMs = 15 * 60_000;

/** Why something that was asked so long ago is not done; undefined when it is fresh. */
export function tooOld(sentMs: number, nowMs: number): string | undefined {
  if (nowMs - sentMs <= maxAskAgeMs) return undefined;
  return `You sent that ${showSpan(nowMs - sentMs)} ago, or the clock of this server is ahead: it says ${rfc3339(nowMs)}. Nothing was done; send it again.`;
}

/**
 * Why no code may be judged by this machine's clock now; undefined when nothing speaks against it. Beside what the machine knows
 * of itself it is compared with the time that Telegram gave the message.
 */
export function clockProblem({ place, targets }: RecoveryConfig, sentMs: number, nowMs: number): string | undefined {
  const says = `it says ${rfc3339(nowMs)}`;
  if (sentMs - nowMs > maxAheadMs)
    return `The clock of this server is ${showSpan(sentMs - nowMs)} behind (${says}), so no code can be judged. On the server: timedatectl`;
  if (nowMs - sentMs > maxCodeAgeMs)
    return `That code was sent ${showSpan(nowMs - sentMs)} ago, or the clock of this server is ahead (${says}). It was not looked at; send a new one.`;
  const names = targets.map(({ name }) => name);
  const now = { wallMs: nowMs, bootId: bootId(), uptimeS: uptimeSeconds() };
  // That a machine was off for long is no doubt here: Telegram's clock agrees with it.
  const doubt = clockDoubt(now, readClock(place), listBackups(place, names)[0]?.atMs, { mayHaveBeenOff: true });
  if (doubt === undefined) return undefined;
  return `The clock of this server may be wrong (${doubt}), so no code is judged. On the server: timedatectl; if it is right: gaia prune --clock-is-right`;
}
