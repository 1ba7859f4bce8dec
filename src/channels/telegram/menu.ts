import type { Api } from 'grammy';
import { reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { Commands } from './commands.ts';
import { isRevoked, noToken } from './poll-updates.ts';

type Deps = {
  api: Pick<Api, 'setMyCommands' | 'deleteMyCommands'>;
  menu: Commands['menu'];
  chats: readonly number[];
  log: Log;
};

/** What the phones of those who are listed offer, and nobody else's. Without it the commands work. */
export type Menu = {
  /** @throws Fault `unauthorized` when the token is none */
  offer(): Promise<void>;
  /** Somebody has written in this chat. Before that Telegram takes no commands for it. @throws Fault as above */
  begun(chat: number): Promise<void>;
};

export function makeMenu({ api, menu, chats, log }: Deps): Menu {
  const missing = new Set<number>();
  const tryTo = async (act: () => Promise<unknown>): Promise<boolean> => {
    try {
      await act();
      return true;
    } catch (error) {
      if (isRevoked(error)) throw noToken(error);
      log.warn('Telegram did not take the menu of commands', { because: reasonOf(error) });
      return false;
    }
  };
  const offerIn = async (chat: number) => {
    const isTaken = await tryTo(() => api.setMyCommands(menu, { scope: { type: 'chat', chat_id: chat } }));
    if (isTaken) missing.delete(chat);
    else missing.add(chat);
  };
  return {
    async offer() {
      // Earlier versions showed them to everybody.
      await tryTo(() => api.deleteMyCommands());
      for (const chat of chats) await offerIn(chat);
    },
    async begun(chat) {
      if (missing.has(chat)) await offerIn(chat);
    },
  };
}
