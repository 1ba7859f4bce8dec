import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Manifest } from './manifest.ts';
import { filesBeside, manifestBytes, parseManifest } from './manifest-file.ts';

const name = 'dev-2026-01-16-103000.tar.zst';
const digest = 'a'.repeat(64);
const manifest: Manifest = {
  ...{
    format: 'leveredge-archive/1',
    name,
    target: 'dev',
    created_at: '2026-01-16T10:30:00.000Z',
    tool: 'leveredge 1',
  },
  ...{ reason: 'manual', set: null, degraded: ['one'], notes: ['ä'] },
  archive: { bytes: 1, sha256: digest, frames: 1 },
  list: { offset: 0, bytes: 1, sha256: digest, entries: 1 },
  totals: { files: 1, directories: 0, symlinks: 0, hardlinks: 0, bytes: 1, stored_bytes: 1 },
  trees: [{ name: 'dev', root: '/srv/dev' }],
  databases: [
    {
      ...{ name: 'events', engine: 'sqlite', member: 'sqlite/events.db', tree: null, path: '/srv/events.db' },
      ...{ bytes: 1, sha256: digest, discovered: false },
    },
  ],
  host: { name: 'h', kernel: 'k', os: 'o' },
  previous_manifest_sha256: null,
  public_key: Buffer.alloc(32, 1).toString('base64'),
};

describe('a manifest', () => {
  it('comes back as it was', () => {
    assert.deepEqual(parseManifest(manifestBytes(manifest)), manifest);
  });

  it('stands beside its archive', () => {
    assert.deepEqual(filesBeside(`/b/${name}`), {
      manifest: '/b/dev-2026-01-16-103000.manifest.json',
      signature: '/b/dev-2026-01-16-103000.manifest.json.sig',
    });
  });

  const wrong: [field: string, value: unknown][] = [
    ['format', 'leveredge-archive/2'],
    ['created_at', '2026-13-16T10:30:00.000Z'],
    ['created_at', 1],
    ['reason', 'whim'],
    ['set', 1],
    ['degraded', 'one'],
    ['notes', [1]],
    ['archive', { ...manifest.archive, bytes: -1 }],
    ['archive', null],
    ['list', { ...manifest.list, sha256: digest.toUpperCase() }],
    ['totals', { ...manifest.totals, files: 1.5 }],
    ['previous_manifest_sha256', 'x'],
    ['host', undefined],
  ];
  for (const [field, value] of wrong)
    it(`is none with ${field} ${JSON.stringify(value)}`, () => {
      assert.equal(parseManifest(Buffer.from(JSON.stringify({ ...manifest, [field]: value }))), undefined);
    });

  it('is none in any text that is no such document', () => {
    for (const text of ['', '{', 'null', '[]', '"x"']) assert.equal(parseManifest(Buffer.from(text)), undefined);
  });
});
