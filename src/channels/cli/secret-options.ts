import { type Command, Option } from 'commander';
import { Fault } from '../../base/fault.ts';
import type { Json, JsonObject } from '../../base/json.ts';
import type { Capability } from '../../events/capability.ts';
import { type SecretValues, secretMembers } from '../../events/secret.ts';
import type { Door } from './door.ts';

type Options = Record<string, Json | undefined>;

/** What is secret of a capability, as a command takes it: never as a word of the command line. */
export type SecretOptions = {
  members: readonly string[];
  /** The values, from where the options say. @throws Fault `usage`, `forbidden`, `not-found` */
  read(door: Door, options: Options): Promise<Record<string, string>>;
};

/** Adds `--MEMBER-file` for each secret argument, and refuses what would put it into the list of processes. */
export function addSecretOptions(command: Command, { input }: Capability, required: readonly string[]): SecretOptions {
  const members = secretMembers(input);
  const named = members.map((member) => {
    const file = new Option(`--${member}-file <file>`, `the file of the secret ${member}, - for standard input`);
    command.addOption(file);
    command.addOption(new Option(`--${member} [word]`).hideHelp().argParser(() => refuse(member)));
    return { member, file: file.attributeName(), mustBe: required.includes(member) };
  });
  return {
    members,
    async read(door, options) {
      const values: Record<string, string> = {};
      if (named.filter(({ file }) => options[file] === '-').length > 1) throw oneInput();
      for (const { member, file, mustBe } of named) {
        if (options[member] === true) refuse(member);
        const from = options[file];
        if (typeof from === 'string') values[member] = await secretFrom(door, from);
        else if (mustBe) values[member] = (await door.askSecret(`${member}: `)) ?? missing(member);
      }
      return values;
    },
  };
}

/** Text editors and `echo` end a file with a line's end, which is no part of the secret. */
const withoutEnd = (text: string) => text.replace(/\r?\n$/, '');

async function secretFrom(door: Door, file: string): Promise<string> {
  if (file !== '-') {
    const text = door.readSecret(file);
    if (text === undefined) throw new Fault('not-found', `There is no file ${file}.`);
    return withoutEnd(text);
  }
  let text = '';
  for await (const part of door.readText('-')) text += part;
  return withoutEnd(text);
}

function refuse(member: string): never {
  throw new Fault('usage', `--${member} takes no word: whoever is on this machine sees the command line.`, {
    hint: `Give it with --${member}-file FILE, or with --${member}-file - on standard input. If it was a secret, it is in your shell's history now.`,
  });
}

function missing(member: string): never {
  throw new Fault('usage', `${member} is missing. It is a secret, and so no word of the command line.`, {
    hint: `Give it with --${member}-file FILE, or with --${member}-file - on standard input.`,
  });
}

function oneInput(): Fault {
  return new Fault('usage', 'Only one secret can come on standard input.', { hint: 'Put the others into files.' });
}

/** A result with its secrets, where somebody sees it or has asked for them; else with a line that says how. */
export async function shownResult(
  door: Door,
  { output }: Capability,
  { id, result }: { id: string; result: JsonObject },
  isAsked: boolean,
): Promise<{ result: JsonObject; notes: string[] }> {
  const members = secretMembers(output).filter((member) => member in result);
  if (members.length === 0) return { result, notes: [] };
  const isSeen = door.terminal.is && !door.json;
  if (!isSeen && !isAsked)
    return {
      result,
      notes: [`${members.join(', ')}: secret, and so shown at a terminal only, or with --show-secrets.`],
    };
  const { result: values }: { result: SecretValues } = await door.client.callSecrets(id);
  return { result: { ...result, ...values }, notes: [] };
}
