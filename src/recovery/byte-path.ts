/**
 * A path as the bytes that the kernel has, one JavaScript character (0–255) a byte (`latin1`), so that names that are no
 * UTF-8 survive and paths can be compared, split at `/` and kept in sets. Relative, without `./` in front; the top of a
 * tree is the empty path.
 */
export type BytePath = string & { readonly bytePath: unique symbol };

/** The path of these bytes; nothing is checked. */
export function bytePath(bytes: Uint8Array): BytePath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as BytePath;
}

/** The path of a text as UTF-8. */
export function bytePathOf(text: string): BytePath {
  return Buffer.from(text, 'utf8').toString('latin1') as BytePath;
}

/** The bytes for a system call: `lstatSync(bytesOf(path))`. */
export function bytesOf(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** As text when it is UTF-8, else undefined. */
export function utf8Of(path: BytePath): string | undefined {
  const text = Buffer.from(path, 'latin1').toString('utf8');
  return bytePathOf(text) === path ? text : undefined;
}

/** For people: what is no UTF-8 is shown as `\xHH`. Control characters are left to whoever prints. */
export function shownPath(path: BytePath): string {
  return utf8Of(path) ?? path.replace(/[^ -~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
