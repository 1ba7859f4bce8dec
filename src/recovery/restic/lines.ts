import { StringDecoder } from 'node:string_decoder';

/** Cuts pieces into lines; the last one counts also without its end. */
export function lineSplitter(take: (line: string) => void): { push(piece: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    push(piece) {
      const lines = (rest + decoder.write(piece)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    },
    end() {
      rest += decoder.end();
      if (rest !== '') take(rest);
      rest = '';
    },
  };
}
