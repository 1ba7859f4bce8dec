import { join } from 'node:path';

/** Where the control bot keeps what it needs, in a home. */
export function telegramPlaces(home: string) {
  const credentials = join(home, 'shared', 'credentials');
  return {
    /** The bot's token, from @BotFather. */
    botToken: join(credentials, 'telegram-control-bot.token'),
    /** With which a tap counts as its person's answer. */
    personToken: join(credentials, 'telegram-person.token'),
    /** With which the bot reads and says what it noticed. */
    serviceToken: join(credentials, 'TELEGRAM.token'),
    settings: join(home, 'config', 'telegram.json'),
    journal: join(home, 'control-plane', 'telegram', 'control-bot.db'),
  };
}

/** Under which names systemd hands copies of these over to the bot's unit, whose user cannot read them where they lie. */
export const handedOver = {
  botToken: 'bot_token',
  personToken: 'person_token',
  serviceToken: 'service_token',
  settings: 'settings',
} as const;
