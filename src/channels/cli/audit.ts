import { resolve } from 'node:path';
import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import type { AuditReport, Door } from './door.ts';
import { collect } from './option-values.ts';

type VerifyOptions = { db?: string; checkpoints?: string; key?: string[] };

/** leveredge audit — what can be proven of the log: verify it, sign what it is now, show the key. */
export function audit(concludes: Concluding): Command {
  return new Command('audit')
    .description('Prove that the log is as it was written')
    .addCommand(verify(concludes))
    .addCommand(checkpoint(concludes))
    .addCommand(key(concludes));
}

/**
 * leveredge audit verify — holds a database against its own chain and against signed checkpoints, offline, and changes
 * nothing. Exit 0 sound, 7 damaged, 5 no such file.
 */
function verify(concludes: Concluding): Command {
  return new Command('verify')
    .description('Find what was altered, deleted or added, in a database or a copy of one')
    .option('--db <file>', 'the database (default: that of the home, also while the bus runs)')
    .option('--checkpoints <file>', 'checkpoints that were kept elsewhere, one a line')
    .option('--key <file>', 'only this public key counts; may be given several times', collect)
    .action(
      concludes(async (door, { db, checkpoints, key: keys = [] }: VerifyOptions) => {
        const home = db === undefined ? door.findHome(door.home).dir : undefined;
        const file = home === undefined ? resolve(db as string) : door.databaseFile(home);
        const report = await door.verifyDatabase({ file, checkpoints, keys, home, progress: progressOn(door) });
        return { ...concludedOf(report, file, keys.length > 0), json: { file, sound: report.found === 0, ...report } };
      }),
    );
}

const tellEveryMs = 2000;

/** A line now and then, for who waits at a terminal. */
function progressOn({ terminal, json, say, clock }: Door): (seq: number, of: number) => void {
  let toldAt = clock();
  return (seq, of) => {
    if (!terminal.is || json || clock() - toldAt < tellEveryMs) return;
    toldAt = clock();
    say(`${seq} of ${of} …`);
  };
}

function concludedOf(report: AuditReport, file: string, hasKeys: boolean): Conclusion {
  const { findings, found, events, purged, head } = report;
  const gone = purged > 0 ? `, ${purged} more were purged` : '';
  if (found === 0)
    return {
      exit: Exit.ok,
      lines: [`${file} is sound: ${events} events up to number ${head}${gone}.`],
      notes: checkpointNotes(report, hasKeys),
    };
  const more = found > findings.length ? [`${found - findings.length} further findings are not shown.`] : [];
  return {
    exit: Exit.damaged,
    lines: [
      `${file} is not as it was written: ${found} ${found === 1 ? 'finding' : 'findings'}, the first at event ${findings[0]?.seq}.`,
    ],
    table: {
      columns: [{ head: 'FINDING' }, { head: 'EVENT', align: 'right' }, { head: 'WHAT', least: 20 }],
      rows: findings.map(({ kind, seq, says }) => [kind, String(seq), says]),
    },
    notes: [
      ...more,
      'Keep the file as it is. A copy from before that event may be sound: leveredge audit verify --db COPY',
    ],
  };
}

function checkpointNotes({ checkpoints: { sound, newest, lost }, head }: AuditReport, hasKeys: boolean): string[] {
  const notes = [];
  if (newest === null)
    notes.push('No checkpoint was there to hold it against, so a chain made anew would not be found.');
  else
    notes.push(
      `${sound} signed checkpoints agree, the newest at event ${newest}${newest < head ? '; what came later has the chain alone' : ''}.`,
    );
  if (lost > 0) notes.push(`${lost} checkpoints are of events that a restore from a backup lost, as the log says.`);
  if (newest !== null && !hasKeys)
    notes.push('The key was found beside or in the database; one kept elsewhere (--key) proves more.');
  return notes;
}

/** leveredge audit checkpoint — signs what the log is now, as one line to be kept elsewhere. */
function checkpoint(concludes: Concluding): Command {
  return new Command('checkpoint').description('Sign what the log is now, as one line to keep elsewhere').action(
    concludes(async ({ client }) => {
      const made = await client.makeCheckpoint();
      return {
        exit: Exit.ok,
        raw: JSON.stringify(made),
        jsonLines: [made],
        notes: [`Signed up to event ${made.seq}. Keep it where whoever can write here cannot.`],
      };
    }),
  );
}

/** leveredge audit key — the public key that checkpoints are verified with, and its id. */
function key(concludes: Concluding): Command {
  return new Command('key').description('Show the public key that signs the checkpoints').action(
    concludes(async (door) => {
      const home = door.findHome(door.home).dir;
      const found = await door.auditKey(home);
      if (!found)
        throw new Fault('not-found', `There is no public key in ${home}.`, {
          hint: 'The bus makes it at its next start: leveredge bus',
        });
      const { keyId, pem, file } = found;
      return {
        exit: Exit.ok,
        lines: pem.trimEnd().split('\n'),
        json: { key_id: keyId, public_key: pem, file },
        notes: [`Its id is ${keyId}. Keep a copy elsewhere.`],
      };
    }),
  );
}
