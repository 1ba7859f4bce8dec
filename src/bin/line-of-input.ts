import type { Readable } from 'node:stream';

const longest = 8 * 1024;
/** Whoever connects and says nothing is let go. */
const withinMs = 10_000;

/** The first line of what comes in, without its end; as far as it came, where it is cut off, too long or too slow. Never throws. */
export function lineOfInput(input: Readable): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const end = () => {
      clearTimeout(timer);
      // Nothing more is wanted; an input that stays open would keep the process.
      input.destroy();
      resolve(text.slice(0, longest).split('\n', 1)[0] as string);
    };
    const timer = setTimeout(end, withinMs);
    input
      .setEncoding('utf8')
      .on('data', (more: string) => {
        text += more;
        if (more.includes('\n') || text.length > longest) end();
      })
      .once('end', end)
      .once('error', end);
  });
}
