import { Api } from 'grammy';
import { systemClock } from '../../src/base/clock.ts';
import { fakeBots } from '../../src/channels/telegram/fake/start.ts';
import { openJournal } from '../../src/channels/telegram/journal.ts';
import { makeOutbox } from '../../src/channels/telegram/outbox.ts';
import { telegramClient } from '../../src/channels/telegram/telegram-client.ts';
import { sleepUnlessAborted } from '../../src/client/patience.ts';

/** The program below, for whoever starts it: the file of a journal, and where Telegram is. */
export const outboxProgram = import.meta.filename;

/** Sends what waits in a journal until it is killed. Faster than its Telegram takes it, so that it is told to wait. */
async function main(file: string, url: string): Promise<void> {
  const api = new Api(fakeBots.control, telegramClient(url, 5));
  const quiet = {
    info: () => undefined,
    warn: () => undefined,
    error: (text: string) => process.stderr.write(`${text}\n`),
  };
  const journal = openJournal(file, systemClock);
  process.stdout.write('runs\n');
  await makeOutbox({
    journal,
    sender: {
      send: async ({ chat, shown }) => (await api.sendMessage(chat, shown.html)).message_id,
      remove: async () => undefined,
      edit: async () => undefined,
    },
    pace: { chatBurst: 60, chatPerSecond: 200, overallPerSecond: 400 },
    log: quiet,
    clock: systemClock,
    signal: new AbortController().signal,
    sleep: sleepUnlessAborted,
  }).run();
}

if (process.argv[1] === outboxProgram) await main(process.argv[2] ?? '', process.argv[3] ?? '');
