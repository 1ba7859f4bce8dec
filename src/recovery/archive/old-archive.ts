import { createReadStream, statSync } from 'node:fs';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import { Fault, reasonOf } from '../../base/fault.ts';
import { type BytePath, bytePathOf } from '../byte-path.ts';
import { damaged } from '../tar/damage.ts';
import type { TarHandler } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { makeRules } from '../tar/rules.ts';

/** Archives of older tools: `tar czf`, without a manifest. */
export const oldEnd = '.tar.gz';

/** What can be said of an archive that says nothing of itself. */
export type OldVerdict =
  | { kind: 'unverified-format'; entries: number; files: number; bytes: number }
  | { kind: 'damaged'; member: string | undefined; reason: string };

/** No archive of this kind that anybody has made holds more. */
const maxEntries = 10_000_000;
const maxBytes = 16 * 1024 ** 4;
/** Text compresses a few hundredfold; a bomb a thousandfold. Below the floor it does not matter. */
const maxRatio = 1000;
const ratioFloorBytes = 256 * 1024 * 1024;

type OldHandler = TarHandler & { ready?(): Promise<void> };

/**
 * Reads an archive of an older tool from one end to the other and judges each member: gzip's checksums, the form of tar,
 * its end mark, and the rules that keep it within its folder.
 * @throws Fault `damaged`, `not-found`
 */
export async function readOld(file: string, handler: OldHandler): Promise<void> {
  const rules = makeRules({ entries: maxEntries, bytes: maxBytes }, { implicitParents: true, setuid: 'refused' });
  const reader = new TarReader(
    {
      entry(entry, at) {
        rules.admit(entry);
        handler.entry(entry, at);
      },
      data: (chunk) => handler.data(chunk),
      end: () => handler.end(),
    },
    { dialect: 'old' },
  );
  const source = createReadStream(file, { highWaterMark: 1024 * 1024 });
  const gunzip = createGunzip({ chunkSize: 1024 * 1024 });
  source.on('error', (error) => gunzip.destroy(error));
  source.pipe(gunzip);
  let plain = 0;
  try {
    for await (const chunk of gunzip) {
      plain += (chunk as Buffer).length;
      if (plain > ratioFloorBytes && plain > source.bytesRead * maxRatio)
        throw damaged('The archive becomes more than a thousand times larger than it is: it is no backup.');
      reader.push(chunk as Buffer);
      await handler.ready?.();
    }
    reader.end();
    // Node passes over whatever follows the last gzip member; here it may be half of the next.
    if (gunzip.bytesWritten !== statSync(file).size)
      throw damaged('Something that is no gzip lies behind the archive.');
  } catch (error) {
    throw oldFault(error, file);
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

function oldFault(error: unknown, file: string): unknown {
  if (error instanceof Fault) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new Fault('not-found', `There is no archive at ${file}.`, { hint: 'See: gaia list' });
  if (/^(Z_|ERR_)/.test(code ?? ''))
    return new Fault(
      'damaged',
      `${basename(file)} cannot be decompressed: ${reasonOf(error)}. It is damaged or cut off.`,
      { cause: error },
    );
  return error;
}

/** Verified as far as it can be. @throws Fault `not-found` */
export async function verifyOld(file: string): Promise<OldVerdict> {
  const found = { entries: 0, files: 0, bytes: 0 };
  try {
    await readOld(file, {
      entry({ kind, size }) {
        found.entries++;
        if (kind === 'file') found.files++;
        found.bytes += size;
      },
      data: () => undefined,
      end: () => undefined,
    });
    if (found.entries === 0) return { kind: 'damaged', member: undefined, reason: 'It is empty.' };
    return { kind: 'unverified-format', ...found };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'damaged') throw error;
    return { kind: 'damaged', member: error.extra.member as string | undefined, reason: error.message };
  }
}

/**
 * The folder in the archive that is the target's own: the live path itself, or one folder that is called like the target or
 * like the live folder and holds everything; empty when the members are what is in it. Reads the archive whole, so that a
 * damaged one is found before anything is written.
 */
export async function oldRoot(file: string, live: string, target: string): Promise<BytePath> {
  const full = live.slice(1);
  const candidates = [full, basename(live), target].map(bytePathOf);
  const fits = new Map(candidates.map((path) => [path, true]));
  let entries = 0;
  await readOld(file, {
    entry({ path }) {
      if (path === '.') return;
      entries++;
      for (const candidate of candidates)
        if (path !== candidate && !path.startsWith(`${candidate}/`) && !candidate.startsWith(`${path}/`))
          fits.set(candidate, false);
    },
    data: () => undefined,
    end: () => undefined,
  });
  if (entries === 0) throw damaged('The archive is empty.');
  return candidates.find((path) => fits.get(path)) ?? ('' as BytePath);
}
