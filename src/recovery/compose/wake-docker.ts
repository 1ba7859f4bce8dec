import { runProgram } from '../source/run-program.ts';
import { worked } from './containers.ts';
import { engineEnv, enginesHere, runEngine } from './engine.ts';

/** With whatever it starts by itself. */
const startMs = 120_000;

/**
 * Starts Docker where it is this machine's engine, does not answer, and systemd knows how: whoever has only a phone cannot. Answers
 * whether it did. Never throws: what is still wrong then is said by whoever asks Docker next.
 */
export async function wakeDocker(): Promise<boolean> {
  if ((await enginesHere())[0] !== 'docker' || worked(await runEngine('docker', ['ps', '-q']))) return false;
  return worked(await runProgram('systemctl', ['start', '--', 'docker.service'], startMs, engineEnv()));
}
