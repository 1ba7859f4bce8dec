import { Fault } from '../../base/fault.ts';

/** Who goes first, where one run works on the backups at a time: whatever somebody waits for, before what is due by itself. */
export type Precedence = {
  /** Work that somebody waits for. */
  first<T>(work: () => Promise<T>): Promise<T>;
  /** Whether somebody waits. */
  isWanted(): boolean;
  /** Work that is given up as soon as somebody waits, and can be begun anew. @throws the reason of the signal, or `gaveWay` */
  yielding<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
};

/** Why work was given up that can be begun anew. */
export const gaveWay = new Fault('unavailable', 'Something that somebody waits for goes first.');

/** For one agent in one process; others wait for the lock as ever. */
export function makePrecedence(): Precedence {
  let wanted = 0;
  let yielding: AbortController | undefined;
  return {
    async first(work) {
      wanted++;
      yielding?.abort(gaveWay);
      try {
        return await work();
      } finally {
        wanted--;
      }
    },
    isWanted: () => wanted > 0,
    async yielding(signal, work) {
      const controller = new AbortController();
      yielding = controller;
      try {
        return await work(AbortSignal.any([signal, controller.signal]));
      } finally {
        yielding = undefined;
      }
    },
  };
}
