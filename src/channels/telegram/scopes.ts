/** What the control bot's token of its person may: a yes to what changes more than `dev` takes a code. */
export const personScopes = ['read', 'answer', 'approve:code', 'call:*'] as const;

/** What its own token may, with which it reads, and says what it noticed. */
export const serviceScopes = ['read', 'publish:telegram_*'] as const;
