/** A word of a sentence. `plain`: in small letters; undefined where it stood in quotes, and so is a name whatever it says. */
export type Word = { text: string; plain: string | undefined; at: number };

/** They change nothing of what is said. */
const fillers: ReadonlySet<string> = new Set(['the', 'a', 'an', 'please', 'me', 'my', 'us', 'our', 'now', 'just']);
/** Before what is asked for. */
const polite = /^(?:(?:hey|hi|hello|ok|okay)[\s,]+)?(?:(?:can|could|will|would)\s+you\s+)?/i;
const spoken = /"([^"]*)"|“([^”]*)”|(\S+)/g;
const around = /^[([{¿¡'‘’]+|[.,;:!?…)\]}'‘’]+$/g;
const contracted = /^(what|who|how|where)['’]s$/i;

/** The words of a sentence without those that only make it polite. */
export function wordsOf(sentence: string): Word[] {
  const begin = polite.exec(sentence.trimStart())?.[0].length ?? 0;
  const from = sentence.length - sentence.trimStart().length + begin;
  const words: Word[] = [];
  for (const { 0: whole, 1: straight, 2: curly, 3: bare, index } of sentence.slice(from).matchAll(spoken)) {
    const at = from + index;
    if (bare === undefined) words.push({ text: (straight ?? curly ?? whole).trim(), plain: undefined, at });
    else words.push(...bareWords(bare, at));
  }
  return words;
}

/** Whether it asks, outside of quotes: "should I roll dev back?" orders nothing. */
export function isAsked(sentence: string): boolean {
  return /[?？]/.test(sentence.replace(/"[^"]*"|“[^”]*”/g, ''));
}

function bareWords(bare: string, at: number): Word[] {
  const text = bare.replace(around, '');
  const plain = text.toLowerCase();
  if (text === '' || fillers.has(plain)) return [];
  const [, first] = contracted.exec(text) ?? [];
  if (first === undefined) return [{ text, plain, at }];
  return [first, 'is'].map((each) => ({ text: each, plain: each.toLowerCase(), at }));
}
