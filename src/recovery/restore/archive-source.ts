import type { Unlock } from '../archive/archive-file.ts';
import type { FrameReader } from '../archive/frame-reader.ts';
import type { Listed } from '../archive/listed.ts';
import type { Manifest } from '../archive/manifest.ts';
import type { BackupSource } from './open-backup.ts';
import { readMember, stageMembers } from './stage.ts';

type Archive = {
  file: string;
  frames: FrameReader;
  manifest: Manifest;
  list: readonly Listed[];
  /** What opens it, where it is encrypted. */
  unlock: Unlock | undefined;
};

/** The contents of an archive. */
export function archiveSource(archive: Archive): BackupSource {
  return {
    stage: (wanted) => stageMembers({ ...archive, ...wanted, wanted: wanted.selection.map(({ index }) => index) }),
    member: (name) => readMember(archive, name),
    close: () => archive.frames.close(),
  };
}
