/** Who judges codes: GAIA, who alone may read the secret. Every refusal is sentences for a person. */
export type Codes = {
  /** Whether a code could count now, and of which entry of the authenticator where it has several. @throws Fault `unavailable` where nobody judges */
  ready(): Promise<Ready>;
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

export type Ready = { kind: 'ready'; entry: string | null } | { kind: 'refused'; says: readonly string[] };

/** `proof` is what the bus wants with the answer. */
export type Judged =
  | { kind: 'right'; proof: string; says: readonly string[] }
  | { kind: 'refused'; says: readonly string[] };

/** As an authenticator shows it, or as a backup code is printed. Letters alone are words: `check aegis`, `everything`. */
const form = /^(\d{3}[ -]?\d{3}|(?=.*[\d-])[0-9a-z]{5}[ -]?[0-9a-z]{5})$/i;

/** Whether a text is meant as a code. */
export const looksLikeCode = (text: string) => form.test(text.trim());

/**
 * One among other words, as it is printed: backup codes have no I, L, O and U. Ids and names of backups have such pieces too, but with
 * more before or behind them.
 */
const within = /(?<![\w-])(\d{3}[ -]?\d{3}|[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5})(?![\w-])/i;

/** Whether a text may have a code among other words, which is then said again nowhere. */
export const holdsCode = (text: string) => within.test(text);
