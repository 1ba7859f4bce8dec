import { Fault } from '../../base/fault.ts';
import { alert, answerWith, isAway, type TapAnswer } from './answer.ts';
import { readData } from './question-message.ts';
import { askForCode, type StepUpDeps, takesCode, type Who } from './step-up.ts';

/**
 * Answers the question whose button was tapped, or asks for the code that such an answer takes, and says what counts now: the answer is
 * on disk before anybody is told so. A button names its question and its option, so an old one never answers another question. Safe to
 * repeat.
 */
export async function answerTap(deps: StepUpDeps, data: string, who: Who): Promise<TapAnswer> {
  const { client, journal } = deps;
  const tapped = readData(data);
  if (tapped === undefined) return alert('This button is none of mine any more. /pending shows what is open.');
  const id = journal.questionOfKey(tapped.key)?.id ?? (tapped.key.startsWith('~') ? undefined : tapped.key);
  if (id === undefined) return alert('I do not know this question any more. /pending shows what is open.');
  try {
    const event = await client.event(id);
    const option = event.human_options?.[tapped.option];
    if (option === undefined) return alert('This question has no such answer.');
    if (takesCode(event, option)) return await askForCode(deps, event, option, who);
    return await answerWith(client, event, option, { by: who.name });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'not-found') return alert('The bus does not know this question any more.');
    return alert(
      isAway(error) ? 'Not stored: the bus does not answer. Tap again later.' : `Not stored: ${error.message}`,
    );
  }
}
