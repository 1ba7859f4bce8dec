import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { closeSync, linkSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const mib = 1024 * 1024;
const pieceBytes = 16 * mib;
const pageBytes = 4096;
const filesPerFolder = 200;
const linkEvery = 100;
const attributeEvery = 40;

/** What the tree is made of. Sparse files count by what they hold, not by their size. */
export type Mix = { pagesMib: number; noiseMib: number; logsMib: number; smallFiles: number; sparseFiles: number };

export const fullMix: Mix = { pagesMib: 560, noiseMib: 400, logsMib: 480, smallFiles: 20_000, sparseFiles: 4 };
export const quickMix: Mix = { pagesMib: 112, noiseMib: 80, logsMib: 96, smallFiles: 4_000, sparseFiles: 2 };

/** Fills a folder with the same bytes each time, so that figures can be compared. Says what could not be made. */
export function fillTree(root: string, mix: Mix): string[] {
  const notes: string[] = [];
  const noise = makeNoise();
  for (const folder of ['pages', 'noise', 'logs', 'small', 'sparse', 'links']) mkdirSync(join(root, folder));
  pieces(mix.noiseMib, (i, bytes) => writeFileSync(join(root, `noise/${i}.bin`), noise(bytes)));
  pieces(mix.pagesMib, (i, bytes) => writeFileSync(join(root, `pages/${i}.pages`), pagesOf(noise(bytes), i)));
  pieces(mix.logsMib, (i, bytes) => writeFileSync(join(root, `logs/${i}.log`), logOf(noise(bytes / 8), bytes)));
  for (let i = 0; i < mix.smallFiles; i++) smallFile(root, i, noise);
  for (let i = 0; i < mix.sparseFiles; i++) sparseFile(join(root, `sparse/${i}.img`), noise);
  const marked = Array.from({ length: Math.floor(mix.smallFiles / attributeEvery) }, (_, i) =>
    smallName(root, i * attributeEvery),
  );
  try {
    execFileSync('python3', ['-c', setAttributes], { input: marked.join('\n') });
  } catch {
    notes.push('without xattrs: python3 could not set any here');
  }
  return notes;
}

const setAttributes =
  'import os,sys\nfor i, name in enumerate(sys.stdin.read().split("\\n")): os.setxattr(name, "user.bench", b"value %d" % i)';

/** Noise that is the same in each run: the key stream of AES. */
function makeNoise(): (bytes: number) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  return (bytes) => cipher.update(Buffer.alloc(Math.ceil(bytes)));
}

function pieces(totalMib: number, write: (i: number, bytes: number) => void): void {
  for (let i = 0, left = totalMib * mib; left > 0; i++, left -= pieceBytes) write(i, Math.min(left, pieceBytes));
}

/** As a database has it: pages with a head, rows of text with numbers in them, and free space at the end. */
function pagesOf(noise: Buffer, seed: number): Buffer {
  const pages = Buffer.alloc(noise.length);
  for (let at = 0, page = 0; at < pages.length; at += pageBytes, page++) {
    pages.writeUInt32BE(seed * 100_000 + page, at);
    let end = at + 16;
    for (let row = 0; end < at + pageBytes - 500; row++) {
      const id = noise.toString('hex', at + row * 24, at + row * 24 + 12);
      end += pages.write(`{"id":"${id}","type":"workflow_finished","source":"n8n","took_ms":${noise[at + row]}}`, end);
      noise.copy(pages, end, at + row * 24, at + row * 24 + 24);
      end += 24;
    }
  }
  return pages;
}

function logOf(noise: Buffer, bytes: number): Buffer {
  const log = Buffer.alloc(bytes);
  for (let at = 0, line = 0; at < bytes; line++) {
    const from = (line * 8) % (noise.length - 8);
    const number = noise.readUInt32LE(from);
    at += log.write(
      `2026-01-16T10:${String(line % 60).padStart(2, '0')}:00.${number % 1000}Z info GET /api/items/${number} 200 ${noise[from + 4]} ms agent=${number % 7}\n`,
      at,
    );
  }
  return log;
}

function smallName(root: string, i: number): string {
  return join(root, `small/${Math.floor(i / filesPerFolder)}/file-${i}.json`);
}

function smallFile(root: string, i: number, noise: (bytes: number) => Buffer): void {
  if (i % filesPerFolder === 0) mkdirSync(join(root, `small/${i / filesPerFolder}`));
  const name = smallName(root, i);
  writeFileSync(name, noise(200 + ((i * 7919) % 6000)).toString('base64'));
  if (i % linkEvery === 0) linkSync(name, join(root, `links/${i}`));
}

function sparseFile(path: string, noise: (bytes: number) => Buffer): void {
  const fd = openSync(path, 'w');
  for (let piece = 0; piece < 4; piece++) writeSync(fd, noise(mib), 0, mib, piece * 32 * mib);
  closeSync(fd);
}
