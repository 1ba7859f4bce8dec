import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { readPrivately } from '../base/private-file.ts';
import { handedOver, telegramPlaces } from '../channels/telegram/places.ts';
import { isBotToken } from '../channels/telegram/set-up.ts';
import { parseSettings, type TelegramSettings } from '../channels/telegram/settings.ts';
import type { Env } from './bus-settings.ts';

/**
 * What the control bot of a home has been given. A copy that systemd hands to this service alone goes before the file itself. Each
 * throws a Fault for what others can read, or what is none.
 */
type TelegramFiles = {
  /** Undefined before it was set up. */
  settings(): TelegramSettings | undefined;
  /** `file`: another one than the home's. */
  botToken(file?: string): string | undefined;
  personToken(): string | undefined;
  serviceToken(): string | undefined;
};

/** @throws nothing: every file is opened when it is asked for */
export function telegramFiles(home: string, { CREDENTIALS_DIRECTORY: folder }: Env): TelegramFiles {
  const places = telegramPlaces(home);
  const copyOf = (name: keyof typeof handedOver) => {
    const copy = folder ? join(folder, handedOver[name]) : undefined;
    return copy !== undefined && existsSync(copy) ? copy : undefined;
  };
  // Such a copy can be read by nobody else, whatever its mode seems to say.
  const secret = (name: Exclude<keyof typeof handedOver, 'settings'>) => {
    const copy = copyOf(name);
    return copy === undefined ? tokenIn(places[name]) : tokenIn(copy, { isBrought: true });
  };
  return {
    settings() {
      const file = copyOf('settings') ?? places.settings;
      return existsSync(file) ? parseSettings(readFileSync(file, 'utf8'), places.settings) : undefined;
    },
    botToken(file) {
      const token = file === undefined ? secret('botToken') : tokenIn(file);
      if (token === undefined || isBotToken(token)) return token;
      throw new Fault('usage', `${file ?? places.botToken} holds no token of a Telegram bot.`, {
        hint: 'It is one line such as 123456:ABC…, as @BotFather says it. Move the file away, then: leveredge telegram setup',
      });
    },
    personToken: () => secret('personToken'),
    serviceToken: () => secret('serviceToken'),
  };
}

/** The one secret in a file; undefined where there is none. @throws Fault `forbidden` when others can read it */
export function tokenIn(file: string, how: { isBrought?: boolean } = {}): string | undefined {
  return readPrivately(file, how)?.trim() || undefined;
}
