import type { JsonObject } from '../../base/json.ts';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import { calledAs, readSentence } from '../../capabilities/sentence/read-sentence.ts';

/** Which call a sentence is. Whoever asks makes it, with their own rights: ATLAS would make it with its. */
export function routeOf(sentence: string): JsonObject {
  const reading = readSentence(sentence, allCapabilities);
  if (reading.kind === 'none')
    return { capability: null, arguments: null, says: reading.says, nearest: [...reading.nearest] };
  const { capability, arguments: args } = reading;
  return { capability: capability.name, arguments: args, says: calledAs(capability, args), nearest: [] };
}
