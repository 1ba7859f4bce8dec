import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { listName } from './archive-builder.ts';
import { filesBeside, manifestBytes } from './manifest-file.ts';
import {
  buildFrames,
  flipped,
  joined,
  manifestOf,
  members,
  missedCuts,
  missedFlips,
  packed,
  smallArchive,
} from './small-archive.fixtures.ts';
import { type Verdict, verifyArchive } from './verify-archive.ts';

describe('verifying an archive', () => {
  it('finds it sound', async (t) => {
    const { file, known } = smallArchive(t);
    const verdict = await verifyArchive(file, { known });
    assert.equal(verdict.kind, 'sound', JSON.stringify(verdict));
  });

  it('finds flipped bits all over archive, manifest and signature, known signer or not', async (t) => {
    // Each bit of a byte in turn; test/recovery turns over every one.
    assert.deepEqual(await missedFlips(t, 53), []);
  });

  it('finds it cut anywhere, and with a byte more', async (t) => {
    assert.deepEqual(await missedCuts(t, 7), []);
  });

  it('finds frames that are swapped, repeated or missing, also when the table fits them', async (t) => {
    const { file, known, frames, put } = smallArchive(t);
    const pick = (...order: number[]) => joined(order.map((i) => frames[i] as (typeof frames)[number]));
    const all = frames.map((_, i) => i);
    const orders = [
      ...all.slice(1).map((i) => all.map((j) => (j === i ? i - 1 : j === i - 1 ? i : j))),
      ...all.map((i) => [...all.slice(0, i + 1), i, ...all.slice(i + 1)]),
      ...all.map((i) => all.filter((j) => j !== i)),
      [],
    ];
    for (const order of orders) {
      put({ archive: pick(...order) });
      for (const key of [known, undefined]) {
        const verdict = await verifyArchive(file, { known: key });
        assert.equal(verdict.kind, 'damaged', order.join());
      }
    }
  });

  it('takes nobody’s word for an archive without a manifest', async (t) => {
    const { file, known } = smallArchive(t);
    rmSync(filesBeside(file).signature);
    assert.equal((await verifyArchive(file, { known })).kind, 'damaged');
    rmSync(filesBeside(file).manifest);
    assert.equal((await verifyArchive(file, { known })).kind, 'no-manifest');
  });

  it('names the member that a damaged frame belongs to', async (t) => {
    const { file, known, frames, put } = smallArchive(t);
    for (const [i, { packed: bytes }] of frames.entries()) {
      const damaged = frames.with(i, {
        packed: flipped(bytes, (bytes.length - 6) * 8),
        plain: frames[i]?.plain ?? 0,
      });
      put({ archive: joined(damaged) });
      const verdict = await verifyArchive(file, { known });
      assert.equal(memberOf(verdict), members[i]?.path ?? listName);
    }
  });

  it('names the member whose contents are others than listed', async (t) => {
    const { file, signer, known, put } = smallArchive(t);
    const other = buildFrames(members.with(3, { path: 'files/dev/a', contents: 'the FIRST file' }));
    const right = buildFrames(members);
    const plain = [...other.plain.slice(0, -1), right.plain.at(-1) as Buffer];
    const made = packed(plain);
    const archive = made.bytes();
    const manifest = manifestBytes(
      manifestOf({ archive, frames: made.frames.length, list: right.list, totals: right.totals, signer }),
    );
    put({ archive, manifest, signature: signer.sign(manifest) });
    const verdict = await verifyArchive(file, { known, deep: true });
    assert.equal(memberOf(verdict), 'files/dev/a', JSON.stringify(verdict));
  });

  it('is damaged when its bytes are not the very ones that were signed', async (t) => {
    const { file, signer, known, manifest, put } = smallArchive(t);
    const text = manifestBytes({ ...manifest, archive: { ...manifest.archive, sha256: '0'.repeat(64) } });
    put({ manifest: text, signature: signer.sign(text) });
    const verdict = await verifyArchive(file, { known });
    assert.ok(verdict.kind === 'damaged' && /digest/.test(verdict.reason), JSON.stringify(verdict));
  });

  it('is damaged by the manifest of another archive, and by a signature alone', async (t) => {
    const { home, file, known } = smallArchive(t);
    const other = join(home, 'dev-2026-01-17-103000.tar.zst');
    for (const path of [file, filesBeside(file).manifest, filesBeside(file).signature])
      copyFileSync(path, path.replace('01-16', '01-17'));
    const verdict = await verifyArchive(other, { known });
    assert.ok(verdict.kind === 'damaged' && /another archive/.test(verdict.reason), JSON.stringify(verdict));
  });
});

const memberOf = (verdict: Verdict) => (verdict.kind === 'damaged' ? verdict.member : verdict.kind);
