import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Fault, reasonOf } from '../../base/fault.ts';
import { childEnv } from '../source/child-env.ts';

/**
 * Everything on the file systems of these folders is on the disk when it returns (syncfs, by coreutils' sync). A disk that
 * could not take what it had accepted says so here at the latest.
 * @throws Fault `storage-full`
 */
export async function flushTo(folders: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('sync', ['-f', '--', ...folders], { env: childEnv });
  } catch (error) {
    throw new Fault('storage-full', `What was staged could not be brought to the disk: ${reasonOf(error)}.`, {
      hint: 'Nothing was changed. The disk is full or failing: see df and dmesg.',
      cause: error,
    });
  }
}
