import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';

type Run<A extends unknown[]> = (door: Door, ...args: A) => Promise<Conclusion>;

/** Turns what a command does into what commander calls; the conclusion is kept for `run` in program.ts. */
export type Concluding = <A extends unknown[]>(run: Run<A>) => (...args: A) => Promise<void>;
