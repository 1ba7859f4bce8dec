/** Lets one after the other do a piece of work, with everybody else's requests in between. */
export type Rounds = {
  /** Resolves when it is the caller's turn. One turn is given in each round of the event loop. */
  next(): Promise<void>;
};

/** However many readers catch up at once, a request waits for one page of one of them. */
export function makeRounds(): Rounds {
  const waiting: (() => void)[] = [];
  const give = () => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(give);
  };
  return {
    next: () =>
      new Promise((go) => {
        waiting.push(go);
        if (waiting.length === 1) setImmediate(give);
      }),
  };
}
