import { type BytePath, bytePathOf, utf8Of } from '../byte-path.ts';

/** Stands for what a pattern cannot say; no name has it. */
const any = '\0';

/**
 * A pattern of restic's that means one absolute path. What its syntax cannot say, as bytes that are no UTF-8 and line ends,
 * stands as any one character.
 * @param inFile `$` begins a variable there
 */
export function exactPattern(root: string, path: BytePath, { inFile }: { inFile: boolean }): string {
  const whole = path === '' ? bytePathOf(root) : (`${bytePathOf(root)}/${path}` as BytePath);
  const text = readable(whole, any)
    .replace(/[\n\r]|\s$/g, any)
    .replace(/[\\*?[\]]/g, '\\$&')
    .replaceAll(any, '?');
  return inFile ? text.replaceAll('$', '$$$$') : text;
}

/** Characters as restic's language reads them: each byte that belongs to none is one of its own, and stands as `unknown`. */
export function readable(path: BytePath, unknown: string): string {
  const whole = utf8Of(path);
  if (whole !== undefined) return whole;
  let text = '';
  for (let at = 0; at < path.length; ) {
    const length = [1, 2, 3, 4].find(
      (n) => at + n <= path.length && utf8Of(path.slice(at, at + n) as BytePath)?.length,
    );
    const character = length === undefined ? undefined : utf8Of(path.slice(at, at + length) as BytePath);
    text += character ?? unknown;
    at += length ?? 1;
  }
  return text;
}
