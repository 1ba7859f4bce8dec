import { createReadStream } from 'node:fs';
import { Fault, reasonOf } from '../base/fault.ts';

/**
 * The text of a file, or of standard input for `-`, as it comes.
 * @throws Fault `not-found`; `usage` when it cannot be read or is no UTF-8
 */
export async function* readText(file: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const name = file === '-' ? 'Standard input' : file;
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file))
      yield decoder.decode(chunk as Buffer, { stream: true });
    yield decoder.decode();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Fault('not-found', `There is no file ${file}.`);
    const why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is no UTF-8' : reasonOf(error);
    throw new Fault('usage', `${name} cannot be read: ${why}.`, { cause: error });
  }
}
