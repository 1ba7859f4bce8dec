import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';

const sqliteBusy = 5;

/**
 * Makes sure that one control bot alone works with a journal; two would say everything twice, and of each question leave a message with
 * buttons behind. The operating system ends the lock with its process, however that ends. Answers what lets go of it.
 * @throws Fault `locked` while another has it, else what the system says
 */
export function onlyOne(journalFile: string): () => void {
  makeFolder(dirname(journalFile), 0o700);
  const lock = new DatabaseSync(`${journalFile}.lock`);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== sqliteBusy) throw error;
    throw new Fault('locked', 'The control bot of this home runs already, in another process.', {
      hint: 'Use that one, or stop it first: Ctrl-C where leveredge up or leveredge telegram bot runs, or sudo systemctl stop leveredge-telegram',
      cause: error,
    });
  }
  return () => lock.close();
}
