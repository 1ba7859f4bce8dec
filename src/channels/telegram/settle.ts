import type { Journal, Waiting } from './journal.ts';

/** What a message that shows a question says once that is decided: the same, the outcome below it, and no button. */
const withOutcome = (html: string, outcome: string) => ({ html: `${html}\n\n${outcome}`, keys: [] });

/** A question that was decided while it still waited to be sent goes out as decided. */
export function asSettled(journal: Journal, saying: Waiting): Waiting {
  const outcome = saying.question === null ? null : (journal.question(saying.question)?.outcome ?? null);
  return outcome === null ? saying : { ...saying, shown: withOutcome(saying.shown.html, outcome) };
}

/** Every message that shows this question is to be changed, if it is decided. Safe to repeat. */
export function tellEnd(journal: Journal, question: string): void {
  const outcome = journal.question(question)?.outcome ?? null;
  if (outcome === null) return;
  for (const { chat, message, html } of journal.shownAt(question))
    journal.say({
      id: `end ${question} ${chat} ${message}`,
      chat,
      shown: withOutcome(html, outcome),
      question,
      edits: message,
      isUrgent: true,
    });
}
