/** Compiled once, asked for every event. */
export type Matcher = (action: string) => boolean;

/**
 * Compiles a pattern: `*` stands for any run of characters (also none), anywhere and any number of times; everything
 * else is literal and case counts. Linear in the action's length for each `*`: the pieces between the stars are searched
 * from left to right, which is enough because a star may take as much as it likes.
 */
export function compilePattern(pattern: string): Matcher {
  const pieces = pattern.split('*');
  const first = pieces[0] as string;
  if (pieces.length === 1) return (action) => action === first;
  const last = pieces.at(-1) as string;
  const between = pieces.slice(1, -1).filter((piece) => piece !== '');
  const shortest = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return (action) => {
    if (action.length < shortest || !action.startsWith(first) || !action.endsWith(last)) return false;
    let from = first.length;
    const until = action.length - last.length;
    for (const piece of between) {
      const at = action.indexOf(piece, from);
      if (at === -1 || at + piece.length > until) return false;
      from = at + piece.length;
    }
    return true;
  };
}
