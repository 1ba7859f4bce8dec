import type { DatabaseReport } from '../door.ts';
import { showBytes } from '../show-time.ts';
import type { Finding } from './finding.ts';

/** What lies in the database, and what to do about it. */
export function checkDatabase(file: string, report: DatabaseReport, isStranger: boolean): Finding {
  const check = 'database';
  switch (report.kind) {
    case 'absent':
      return { check, state: 'note', says: `${file} is not there yet; the first start makes it` };
    case 'unreadable':
      return {
        check,
        // Only who keeps it may read it, as it should be.
        state: isStranger ? 'note' : 'wrong',
        says: `${file} cannot be read: ${report.reason}`,
        todo: 'Look at its owner and mode: ls -l',
      };
    case 'damaged':
      return {
        check,
        state: 'wrong',
        says: `${file} is damaged: ${report.reason}`,
        todo: `Stop the bus, move the file together with the -wal and -shm beside it into another folder,\nand put the newest copy in its place: see "When something is broken" in README.md`,
      };
    case 'newer':
      return {
        check,
        state: 'wrong',
        says: `${file} has schema ${report.schema}, and this program knows ${report.known}`,
        todo: 'Run the newer LeverEdge that wrote it.',
      };
    case 'first-implementation':
      return {
        check,
        state: 'note',
        says: `${file} was made by the first implementation (${report.events} events); the next start copies it aside and takes it over`,
      };
    case 'sound':
      return {
        check,
        state: 'fine',
        says: `${file} is sound: ${report.events} events, ${report.openQuestions} open questions, ${showBytes(report.bytes)}`,
      };
  }
}
