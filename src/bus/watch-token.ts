import { Fault } from '../base/fault.ts';
import type { Principal } from '../events/principal.ts';
import type { Bus } from './bus.ts';
import { requireStillGood } from './gate.ts';
import { goaway } from './streams/frames.ts';
import type { Outlet } from './streams/outlet.ts';

/** A revoked or expired token keeps a stream for as long as this at most. */
const everyMs = 15_000;

/** Ends a stream when the token it was opened with holds no longer. Without a token there is nothing to watch. */
export function watchToken(
  bus: Pick<Bus, 'store' | 'clock'>,
  principal: Principal,
  outlet: Outlet,
  ms = everyMs,
): void {
  if (principal.kind === 'anonymous') return;
  const look = () =>
    requireStillGood(bus, principal).catch((error) => {
      // A database that cannot be read for a moment says nothing about the token.
      if (error instanceof Fault && error.code === 'unauthorized') outlet.end(goaway(error.message));
    });
  const timer = setInterval(look, ms).unref();
  outlet.whenClosed(() => clearInterval(timer));
}
