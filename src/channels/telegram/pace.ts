/** How many messages a bot sends at most. Telegram asks for a message a second in a chat, and thirty over all. */
export type Pace = { chatBurst: number; chatPerSecond: number; overallPerSecond: number };

export const usualPace: Pace = { chatBurst: 3, chatPerSecond: 1, overallPerSecond: 25 };

/** Says how long a message has to wait, and counts those that went. Time is an argument. */
export type Pacer = {
  /** Milliseconds until this chat may be written to again; 0 is now. */
  waitMs(chat: number, now: number): number;
  sent(chat: number, now: number): void;
  /** Telegram has said how long to keep quiet. It does not say for which chat, so all wait. */
  hush(ms: number, now: number): void;
};

type Bucket = { left: number; at: number };

export function makePacer({ chatBurst, chatPerSecond, overallPerSecond }: Pace): Pacer {
  const chats = new Map<number, Bucket>();
  const overall: Bucket = { left: overallPerSecond, at: 0 };
  const quiet = { since: 0, ms: 0 };
  const quietMs = (now: number) => {
    // It begins again where the clock was put back: by a month that would else be a month.
    if (now < quiet.since) quiet.since = now;
    return Math.max(0, quiet.since + quiet.ms - now);
  };
  const filled = (bucket: Bucket, most: number, perSecond: number, now: number) => {
    // A clock that was put back must not silence the bot until it is where it was.
    const passed = Math.max(0, now - bucket.at);
    bucket.left = Math.min(most, bucket.left + (passed / 1000) * perSecond);
    bucket.at = now;
    return bucket;
  };
  const both = (chat: number, now: number) => {
    const bucket = chats.get(chat) ?? { left: chatBurst, at: now };
    chats.set(chat, bucket);
    return {
      ofChat: filled(bucket, chatBurst, chatPerSecond, now),
      ofAll: filled(overall, overallPerSecond, overallPerSecond, now),
    };
  };
  return {
    waitMs(chat, now) {
      const { ofChat, ofAll } = both(chat, now);
      const until = (left: number, perSecond: number) => (left >= 1 ? 0 : ((1 - left) / perSecond) * 1000);
      return Math.ceil(
        Math.max(quietMs(now), until(ofChat.left, chatPerSecond), until(ofAll.left, overallPerSecond), 0),
      );
    },
    sent(chat, now) {
      const { ofChat, ofAll } = both(chat, now);
      ofChat.left -= 1;
      ofAll.left -= 1;
    },
    hush(ms, now) {
      quiet.ms = Math.max(quietMs(now), ms);
      quiet.since = now;
    },
  };
}
