/** Who judges codes: GAIA, who alone may read the secret. Every refusal is sentences for a person. */
export type Codes = {
  /** Why no code could count now, as where none is set up; undefined when one could. @throws Fault `unavailable` where nobody judges */
  whyNot(): Promise<readonly string[] | undefined>;
  /** Safe to repeat only as a code is: what was right is used up. @throws Fault `unavailable` where nobody judges */
  judge(sent: SentCode): Promise<Judged>;
};

/** A code, and the approval that it is for. */
export type SentCode = {
  code: string;
  question: string;
  payload_hash: string;
  /** As whom the bot answers. */
  person: string;
  /** When Telegram took it, by its clock. */
  sent_ms: number;
};

/** `proof` is what the bus wants with the answer. */
export type Judged =
  | { kind: 'right'; proof: string; says: readonly string[] }
  | { kind: 'refused'; says: readonly string[] };

/** As an authenticator shows it, or as a backup code is printed. Letters alone are words: `check aegis`, `everything`. */
const form = /^(\d{3}[ -]?\d{3}|(?=.*[\d-])[0-9a-z]{5}[ -]?[0-9a-z]{5})$/i;

/** Whether a text is meant as a code. */
export const looksLikeCode = (text: string) => form.test(text.trim());
