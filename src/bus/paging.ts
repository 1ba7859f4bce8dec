import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { type Bookmark, bookmarkOf, parseBookmark } from '../events/bookmark.ts';
import type { PendingPlace } from './store/store.ts';

const maxCursorLength = 100;

/** The parameter that continues a list that is newest first. */
export const before = z
  .string()
  .max(maxCursorLength, 'is no bookmark')
  .optional()
  .meta({ description: 'Only what is older than this bookmark: the next of the page before' });

/** What every list of whole events says of itself. */
export const pageMayBeShort =
  'A page may be shorter than limit when its events are large; it still has at least one. Go on with next until that is null.';

/** The parameter that continues the list of open questions. */
export const after = z
  .string()
  .max(maxCursorLength, 'is no place in the list')
  .optional()
  .meta({ description: 'The next of the page before' });

/**
 * The seq a bookmark stands for.
 * @throws Fault `invalid` for what was never a bookmark, `cursor-invalid` for one of another life of the log.
 */
export function seqOf(bookmark: string | undefined, epoch: string): number | undefined {
  if (bookmark === undefined) return undefined;
  const place = parseBookmark(bookmark);
  if (place === undefined) throw noBookmark('before');
  if (place.epoch !== epoch)
    throw new Fault('cursor-invalid', `The bookmark ${bookmark} is from before this log was restored or made anew.`, {
      hint: 'Read the first page again without it; the bookmarks of that page are good.',
    });
  return place.seq;
}

/** The bookmark of the following page, or null when there is none. */
export function nextBookmark(epoch: string, next: number | null): Bookmark | null {
  return next === null ? null : bookmarkOf(epoch, next);
}

/** A place among the open questions, as the wire has it: opaque. */
export function cursorOf(place: PendingPlace): string {
  return Buffer.from(`${place.deadline ?? 'never'}.${place.seq}`).toString('base64url');
}

/**
 * The place a cursor stands for.
 * @throws Fault `invalid`
 */
export function placeOf(cursor: string | undefined): PendingPlace | undefined {
  if (cursor === undefined) return undefined;
  const match = /^(never|-?\d{1,16})\.(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (match === null) throw noBookmark('after');
  return { deadline: match[1] === 'never' ? null : Number(match[1]), seq: Number(match[2]) };
}

function noBookmark(pointer: string): Fault {
  return new Fault('invalid', `The query makes no sense: ${pointer} is no bookmark of this bus.`, {
    mistakes: [{ pointer, detail: 'is no bookmark of this bus' }],
    hint: `Give ${pointer} the next of the page before, unchanged, or leave it out.`,
  });
}
