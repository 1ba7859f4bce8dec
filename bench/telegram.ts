import { startControlBot } from '../test/control-bot.fixtures.ts';
import { benchTelegramMemory, type MemoryResult, memoryLines } from './telegram-memory.ts';

const tapsAtMost = 300;
const hurriedTaps = 50;

export type TelegramResult = { taps: number[]; memory: MemoryResult };

type Bench = { quick: boolean; note(line: string): void };

/** A person's taps at the control bot, and what both bots take of the machine. */
export async function benchTelegram({ quick, note }: Bench): Promise<TelegramResult> {
  return { taps: await benchTaps({ quick, note }), memory: await benchTelegramMemory(quick, note) };
}

/** A person's taps at the control bot, one after the other, each until the bot has answered it: Telegram is a stand-in here. */
async function benchTaps({ quick, note }: Bench): Promise<number[]> {
  const ends: (() => unknown)[] = [];
  try {
    const { fake, client } = await startControlBot({ after: (end) => void ends.push(end) });
    const count = quick ? hurriedTaps : tapsAtMost;
    for (let n = 0; n < count; n++)
      await client.publish({
        id: `question-${n}`,
        source_agent: 'HADES',
        action: 'shall_we',
        target: null,
        requires_human: true,
        human_question: `Shall we, number ${n}?`,
        human_options: ['yes', 'no'],
      });
    const asked = () => fake.said().filter(({ buttons }) => buttons.length > 0);
    await fake.eventually(() => asked().length === count, 'all asked');
    const taps: number[] = [];
    for (const { message_id } of asked()) {
      const began = performance.now();
      const tap = fake.tap(message_id, 'yes');
      await fake.eventually(() => tap.answer);
      taps.push(performance.now() - began);
      if (tap.answer?.text !== 'Stored: yes') throw new Error(`A tap was answered with ${tap.answer?.text}.`);
    }
    note(`${count} taps`);
    return taps;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** The part of docs/performance.md about bots. */
export function telegramReport({ taps, memory }: TelegramResult): string {
  const sorted = [...taps].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] as number;
  return [
    '### The control bot',
    '',
    `${taps.length} taps one after the other, the bot, the bus and a stand-in for Telegram on one machine; from the tap to the answer that it is stored.`,
    '',
    '| | p50, ms | p99, ms | longest, ms |',
    '|---|---|---|---|',
    `| a tap | ${at(0.5).toFixed(1)} | ${at(0.99).toFixed(1)} | ${sorted.at(-1)?.toFixed(1)} |`,
    '',
    '| what | wanted | measured | met |',
    '|---|---|---|---|',
    `| a tap to its acknowledgement, ms (p99) | under 150 | ${at(0.99).toFixed(1)} | ${at(0.99) < 150 ? 'yes' : '**no**'} |`,
    '',
    '### What the bots take',
    '',
    ...memoryLines(memory),
  ].join('\n');
}
