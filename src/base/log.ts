/** Structured log lines on one stream: `time level message key=value …`. Never hand it a secret. */
export type Log = {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
};

/** Text from events and clients is hostile: anything but printable text is escaped, so that no log line can be forged. */
export function makeLog(write: (line: string) => void, now: () => number): Log {
  const line =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      const pairs = Object.entries(fields).map(
        ([key, value]) => ` ${key}=${printable(JSON.stringify(value) ?? 'undefined')}`,
      );
      write(`${new Date(now()).toISOString()} ${level} ${printable(message)}${pairs.join('')}\n`);
    };
  return { info: line('info'), warn: line('warn'), error: line('error') };
}

/** The text with what acts unseen (control characters, also the C1 ones, direction marks, zero-width spaces) shown as escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
