import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { readStatement } from '../base/signed-statement.ts';

/** What must be proven: that this person has given a code for this answer to this question. */
type Confirmed = { question: string; payload_hash: string | null; person: string };

/** @throws Fault `forbidden` why a proof is none */
export type RequireProof = (proof: string | null | undefined, what: Confirmed) => void;

/** What GAIA says when a code was right. */
const kind = 'confirmation';
/** As long as a code is under way, and the bus away. */
const maxAgeMs = 10 * 60_000;
/** Two programs of one machine; but its clock may be set meanwhile. */
const maxAheadMs = 60_000;

/** Judges proofs by the key that GAIA has put into this home. It is read each time: whoever can write it is root, or the bus. */
export function proofsIn(home: string, clock: Clock): RequireProof {
  const file = join(home, 'shared', 'credentials', 'gaia-confirms.pub');
  return (proof, { question, payload_hash, person }) => {
    if (!proof) throw refused('This approval takes a code, and no proof of one came with the answer');
    const said = readStatement(kind, proof, textOf(file));
    if (said === undefined) throw refused('What came with the answer is no proof of GAIA here');
    if (said.question !== question || said.payload_hash !== payload_hash || said.person !== person)
      throw refused('That proof is of another approval, or of somebody else');
    const ageMs = clock() - Number(said.at_ms);
    if (!(ageMs <= maxAgeMs && ageMs >= -maxAheadMs)) throw refused('That proof is too old');
  };
}

function refused(because: string): Fault {
  return new Fault('forbidden', `${because}.`, {
    hint: 'Answer it at the control bot, which asks for the code, or on the server: leveredge answer ID yes',
    extra: { needs: 'approve' },
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // GAIA has confirmed nothing here yet.
    if (code === 'ENOENT') return '';
    throw new Fault('unavailable', `The key of GAIA cannot be read (${code}): ${file}.`, { cause: error });
  }
}
