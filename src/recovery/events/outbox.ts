import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import { syncFolder } from '../disk.ts';
import type { Place } from '../place.ts';
import type { OutboxEvent } from './event.ts';

type Where = Pick<Place, 'state'>;

/** So many wait at most; then the oldest gives way. */
const maxWaiting = 1000;
const maxRefused = 100;

const outboxIn = ({ state }: Where) => join(state, 'outbox');
/** What the bus will never take, set aside so that it keeps no other from it. */
const refusedIn = (place: Where) => join(outboxIn(place), 'refused');
const droppedIn = (place: Where) => join(outboxIn(place), 'dropped');
const whyIn = (place: Where) => join(outboxIn(place), 'why');

/**
 * Writes an event down for the bus, on disk when it returns. The same event again is the same file.
 * @throws the system's error
 */
export function putIntoOutbox(place: Where, event: OutboxEvent, most = maxWaiting): void {
  const folder = outboxIn(place);
  makeFolder(folder, 0o700);
  writeWhole(join(folder, fileNameOf(event)), bytesOf(event));
  dropOldest(place, most);
  syncFolder(folder);
}

/** Sorts by the time it happened. Ids are our own, and made of what may stand in a name. */
function fileNameOf({ id, details: { happened_at } }: OutboxEvent): string {
  return `${happened_at.replaceAll(/[-:.]/g, '')}-${id}.json`;
}

function dropOldest(place: Where, most: number): void {
  const names = namesIn(outboxIn(place));
  const tooMany = names.slice(0, Math.max(0, names.length - most));
  if (tooMany.length === 0) return;
  writeWhole(droppedIn(place), Buffer.from(`${droppedOf(place) + tooMany.length}\n`));
  for (const name of tooMany) rmSync(join(outboxIn(place), name), { force: true });
}

/** An event with the file it lies in; undefined when that is no event any more. */
export type Waiting = { name: string; event: OutboxEvent | undefined };

/** What waits for the bus, oldest first. Each is read when it is its turn. */
export function* waitingIn(place: Where): Generator<Waiting> {
  for (const name of namesIn(outboxIn(place))) {
    try {
      yield { name, event: JSON.parse(readFileSync(join(outboxIn(place), name), 'utf8')) as OutboxEvent };
    } catch (error) {
      // Another process has just delivered it.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      yield { name, event: undefined };
    }
  }
}

/** Takes out what the bus has. Safe to repeat. */
export function takeOut(place: Where, { name }: Waiting): void {
  rmSync(join(outboxIn(place), name), { force: true });
}

/** Sets aside what the bus will never take, with what it said. */
export function setAside(place: Where, waiting: Waiting, refusal: Record<string, unknown>): void {
  const folder = refusedIn(place);
  makeFolder(folder, 0o700);
  writeWhole(join(folder, waiting.name), bytesOf({ event: waiting.event ?? null, refusal }));
  takeOut(place, waiting);
  const names = namesIn(folder);
  for (const name of names.slice(0, Math.max(0, names.length - maxRefused))) rmSync(join(folder, name));
}

/** Notes why the rest still waits, for whoever looks; undefined when nothing keeps it. */
export function noteWhy(place: Where, why: string | undefined): void {
  if (why === undefined) rmSync(whyIn(place), { force: true });
  else writeWhole(whyIn(place), Buffer.from(`${why}\n`));
}

/** How many events wait, were refused by the bus, or gave way to newer ones; and why they wait, when it was tried. */
export type OutboxState = {
  waiting: number;
  refused: number;
  dropped: number;
  why: string | undefined;
  folder: string;
};

/** What lies in the outbox. Changes nothing. */
export function outboxState(place: Where): OutboxState {
  const folder = outboxIn(place);
  const waiting = namesIn(folder).length;
  const why = waiting > 0 ? textOf(whyIn(place))?.trim() : undefined;
  return { waiting, refused: namesIn(refusedIn(place)).length, dropped: droppedOf(place), why, folder };
}

function droppedOf(place: Where): number {
  const count = Number(textOf(droppedIn(place)));
  return Number.isSafeInteger(count) ? count : 0;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // Nothing was ever noted.
  }
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
}
