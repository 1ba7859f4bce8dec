import type { Context, MiddlewareFn } from 'grammy';

/** Somebody who is not listed, or wrote in a group: who and where. Their words are not kept. */
export type Stranger = { id: number; name: string | null; where: string };

/**
 * The first middleware: what a listed person does in their own private chat goes on, everything else ends here without a word,
 * so that nobody learns whether somebody listens.
 */
export function gatekeeper(
  users: ReadonlySet<number>,
  onStranger: (stranger: Stranger) => Promise<void>,
): MiddlewareFn<Context> {
  return async ({ from, chat, callbackQuery }, next) => {
    // A tap on a message that is no more has no chat; whoever tapped is the one who counts, and not who wrote the message.
    const isOwnChat = chat?.type === 'private' && chat.id === from?.id;
    if (
      from !== undefined &&
      !from.is_bot &&
      isOwnChat &&
      users.has(from.id) &&
      callbackQuery?.inline_message_id === undefined
    )
      return next();
    if (from !== undefined)
      await onStranger({ id: from.id, name: from.username ?? null, where: chat?.type ?? 'nowhere' });
  };
}
