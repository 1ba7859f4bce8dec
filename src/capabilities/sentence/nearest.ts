import type { Way } from './way.ts';
import type { Word } from './words.ts';

const maxNearest = 3;
/** Of the words of a way so many must have been said, or nearly. */
const leastShare = 0.5;
/** Shorter words are too like each other. */
const leastLetters = 3;

/** Ways with many of these words, the most first. One letter may be wrong. For a person to choose from, never to be called. */
export function nearestWays(words: readonly Word[], ways: readonly Way[]): Way[] {
  const said = words.flatMap(({ plain }) => plain ?? []);
  const ranked = ways
    .map((way) => ({ way, share: shareOf(said, way) }))
    .filter(({ share }) => share >= leastShare)
    .sort((a, b) => b.share - a.share);
  const found = new Map<string, Way>();
  for (const { way } of ranked) if (!found.has(way.capability.name)) found.set(way.capability.name, way);
  return [...found.values()].slice(0, maxNearest);
}

/** Of the words of the way and of the sentence together, how many they have in common. */
function shareOf(said: readonly string[], { parts }: Way): number {
  const wanted = parts.flatMap((part) => (part.kind === 'words' && !part.mayBeLeftOut ? [part.oneOf] : []));
  const hits = wanted.filter((oneOf) => oneOf.some((word) => said.some((each) => isLike(each, word)))).length;
  return (2 * hits) / (wanted.length + Math.min(said.length, wanted.length + 1));
}

function isLike(said: string, word: string): boolean {
  if (said === word) return true;
  if (Math.min(said.length, word.length) < leastLetters || Math.abs(said.length - word.length) > 1) return false;
  let [same, end] = [0, 0];
  while (same < Math.min(said.length, word.length) && said[same] === word[same]) same++;
  while (end < Math.min(said.length, word.length) - same && said.at(-1 - end) === word.at(-1 - end)) end++;
  const [left, right] = [said.length - same - end, word.length - same - end];
  // One letter too many, too few or another, or two that changed places.
  const isTurned = left === 2 && right === 2 && said[same] === word[same + 1] && said[same + 1] === word[same];
  return (left <= 1 && right <= 1) || isTurned;
}
