import { Exit } from '../../base/exit.ts';
import { Fault, type Mistake } from '../../base/fault.ts';
import { uuidV7Maker } from '../../base/uuid-v7.ts';
import type { BatchResult } from '../../client/client.ts';
import { patiently } from '../../client/patience.ts';
import type { Draft } from '../../events/draft.ts';
import { parseDraft } from '../../events/parse.ts';
import { type Entry, entriesIn } from './batch-entries.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';

/** Events in one call, and characters: well below what the bus takes. */
const maxPerCall = 500;
const maxCallLength = 2 * 1024 * 1024;
/** Results are printed at the end, so they are kept until then. */
const maxEvents = 1_000_000;
/** For how long the bus may be away in between. */
const patienceMs = 15_000;
const maxToldRefusals = 20;

type Told = { place: string } & (BatchResult | { status: 'sound' });
type Refused = Told & { status: 'refused' };

/**
 * leveredge publish --batch — publishes the events of a file, many with one call. Each call has a key of its own, so one
 * that got no answer is sent again without storing anything twice. Exit 9 when some were refused, 2 when all were.
 */
export async function publishBatch(door: Door, file: string, source: string, dryRun: boolean): Promise<Conclusion> {
  const told: Told[] = [];
  const send = dryRun ? rehearse : sender(door);
  let waiting: Entry[] = [];
  let length = 0;
  const flush = async () => {
    if (waiting.length > 0) told.push(...(await handled(waiting, source, send)));
    waiting = [];
    length = 0;
  };
  try {
    for await (const entry of entriesIn(door.readText(file))) {
      if (told.length + waiting.length >= maxEvents)
        throw new Fault('usage', `There are more than ${maxEvents} events.`, { hint: 'Split the file.' });
      if (length + entry.length > maxCallLength) await flush();
      waiting.push(entry);
      length += entry.length;
      if (waiting.length >= maxPerCall) await flush();
    }
    await flush();
  } catch (error) {
    throw told.length === 0 || dryRun ? error : brokenOff(door, error, waiting[0]?.place);
  }
  if (told.length === 0) throw new Fault('usage', 'There is nothing to publish: the input has no event.');
  return concluded(told, dryRun);
}

type Send = (drafts: readonly Draft[]) => Promise<readonly (BatchResult | { status: 'sound' })[]>;

function sender({ client, signal, clock, say }: Door): Send {
  const newKey = uuidV7Maker(clock);
  let isSaid = false;
  const onTrouble = (fault: Fault) => {
    if (!isSaid) say(`${fault.message} Trying again.`);
    isSaid = true;
  };
  const again = patiently({ signal, clock, onTrouble });
  return async (drafts) => {
    const idempotencyKey = newKey();
    const { results } = await again(patienceMs, () => client.publishBatch(drafts, { idempotencyKey, signal }));
    return results;
  };
}

/** What the bus would say of each alone. */
const rehearse: Send = async (drafts) =>
  drafts.map((draft) => {
    try {
      parseDraft(draft);
      return { status: 'sound' };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return refusal(error);
    }
  });

/** Sends what can be sent, and puts each result where its event stands. */
async function handled(entries: readonly Entry[], source: string, send: Send): Promise<Told[]> {
  const drafts = entries.flatMap((entry) => ('value' in entry ? [withSource(entry.value, source)] : []));
  const results = drafts.length > 0 ? (await send(drafts)).values() : [].values();
  return entries.map((entry) => {
    const result = 'value' in entry ? results.next().value : refusal(entry.refused);
    if (result === undefined) throw new Fault('unreachable', 'The bus answered fewer events than it was sent.');
    return { place: entry.place, ...result };
  });
}

/** What is no object is for the bus to refuse. */
function withSource(value: unknown, source: string): Draft {
  const lacksSource =
    typeof value === 'object' && value !== null && !Array.isArray(value) && !('source_agent' in value);
  return (lacksSource ? { source_agent: source, ...value } : value) as Draft;
}

function refusal({ code, message, mistakes }: Fault): BatchResult {
  const error = { type: `urn:leveredge:problem:${code}`, status: 422, detail: message, errors: [...mistakes] };
  return { status: 'refused', error };
}

/** A failure in the middle: how far it came decides where to go on. */
function brokenOff({ say }: Door, error: unknown, place = 'the end'): unknown {
  const hint = `What stands before ${place} was dealt with; go on from there.`;
  if (!(error instanceof Fault)) say(hint);
  else
    return new Fault(error.code, error.message, { hint: [error.hint, hint].filter(Boolean).join('\n'), cause: error });
  return error;
}

function concluded(told: readonly Told[], dryRun: boolean): Conclusion {
  const refused = told.filter((each): each is Refused => each.status === 'refused');
  const count = (status: string) => told.filter((each) => each.status === status).length;
  const [created, duplicates, sound] = [count('created'), count('duplicate'), count('sound')];
  const done = dryRun
    ? `Not stored: this was a dry run. ${sound} would be stored, ${refused.length} refused.`
    : `${created} stored, ${duplicates} stored before, ${refused.length} refused.`;
  const more = refused.length - maxToldRefusals;
  return {
    exit: refused.length === 0 ? Exit.ok : refused.length < told.length ? Exit.partial : Exit.usage,
    lines: told.flatMap((each) => ('id' in each ? each.id : [])),
    jsonLines: told,
    notes: [
      ...refused.slice(0, maxToldRefusals).map(({ place, error }) => `${place}: ${reasonIn(error)}`),
      ...(more > 0 ? [`… and ${more} more`] : []),
      ...warningsIn(told),
      done,
    ],
  };
}

function reasonIn({ detail, errors = [] }: Refused['error']): string {
  if (errors.length === 0 || /already names another event/.test(detail)) return detail;
  return `${errors.map(({ pointer, detail }: Mistake) => `${withinEvent(pointer)} ${detail}`).join('; ')}.`;
}

/** Pointers of the bus begin with the index in the call, which nobody knows here. */
function withinEvent(pointer: string): string {
  return pointer.replace(/^\/\d+/, '') || 'the event';
}

function warningsIn(told: readonly Told[]): string[] {
  const all = told.flatMap((each) =>
    'warnings' in each && each.warnings
      ? each.warnings.map(({ pointer, detail }) => `Warning: ${each.place}: ${withinEvent(pointer)} ${detail}.`)
      : [],
  );
  return all.length <= maxToldRefusals
    ? all
    : [...all.slice(0, maxToldRefusals), `… and ${all.length - maxToldRefusals} warnings more`];
}
