import { Command, Option } from 'commander';
import { z } from 'zod';
import type { Json, JsonObject } from '../../base/json.ts';
import { type Capability, ownerOf } from '../../events/capability.ts';
import { secretMembers } from '../../events/secret.ts';
import { callCapability } from './call-capability.ts';
import type { Concluding } from './concluding.ts';
import { wholeNumber } from './option-values.ts';
import { addSecretOptions } from './secret-options.ts';
import { takesSentences } from './sentence.ts';

type Options = Record<string, Json | undefined> & { wait: boolean; showSecrets?: boolean };

/** leveredge atlas, chronos, hades … — what an agent can do, one command for each of its capabilities. */
export function agentCommands(capabilities: readonly Capability[], concludes: Concluding): Command[] {
  return [...new Set(capabilities.map(({ name }) => ownerOf(name)))].map((agent) => {
    const own = capabilities.filter(({ name }) => ownerOf(name) === agent);
    const verbs = own.map(({ name }) => verbOf(name)).join(', ');
    const command = new Command(agent.toLowerCase()).description(`Ask ${agent}: ${verbs}`);
    for (const each of own) command.addCommand(commandOf(each, concludes));
    return agent === 'ATLAS' ? takesSentences(command, capabilities, concludes) : command;
  });
}

const verbOf = (capability: string) => capability.slice(capability.indexOf('.') + 1);

type Property = { type?: string; description?: string };

/** What must be given stands after the name; what may be left out is an option. */
function commandOf(capability: Capability, concludes: Concluding): Command {
  const { name, summary, input, output, risk } = capability;
  const command = new Command(verbOf(name)).description(summary);
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: 'input' }) as {
    properties?: Record<string, Property>;
    required?: string[];
  };
  const secrets = addSecretOptions(command, capability, required);
  const placed = required.filter((key) => !secrets.members.includes(key));
  for (const key of placed) command.argument(`<${key}>`, properties[key]?.description ?? '');
  for (const [key, { type, description = '' }] of Object.entries(properties)) {
    if (required.includes(key) || secrets.members.includes(key)) continue;
    const option = new Option(`--${key} <${type === 'integer' ? 'n' : key}>`, lowered(description));
    command.addOption(type === 'integer' ? option.argParser(wholeNumber) : option);
  }
  command.option(
    '--no-wait',
    risk === 'destructive' ? 'do not wait for the person who decides' : 'do not wait for its end',
  );
  if (secretMembers(output).length > 0)
    command.option('--show-secrets', 'print what is secret of the result also into a file or a pipe, and as JSON');
  return command.action(
    concludes(async (door, ...typed: unknown[]) => {
      const { wait, showSecrets = false, ...options } = typed.at(-2) as Options;
      const given = Object.fromEntries(placed.map((key, at) => [key, typed[at] as Json]));
      const isChosen = (key: string) => key in properties && !secrets.members.includes(key);
      const chosen = Object.entries(options).filter(([key, value]) => isChosen(key) && value !== undefined);
      const args = { ...given, ...Object.fromEntries(chosen), ...(await secrets.read(door, options)) } as JsonObject;
      return callCapability(door, capability, args, { wait, showSecrets });
    }),
  );
}

const lowered = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);
