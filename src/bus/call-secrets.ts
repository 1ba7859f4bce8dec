import { Fault } from '../base/fault.ts';
import { ownerOf } from '../events/capability.ts';
import type { Bearer, Principal } from '../events/principal.ts';
import { type SecretValues, secretMembers } from '../events/secret.ts';
import type { Calls } from './calls.ts';
import { quoted } from './refusals.ts';
import type { Secrets } from './secrets.ts';
import type { CallSecretStore } from './store/call-secrets.ts';

/** The values of what events of a call have placeholders for, as far as the caller may have them. */
export type OpenedSecrets = { arguments: SecretValues; result: SecretValues };

/** Hands the secrets of calls to those whom they are for, and nobody else: neither without a token nor to an admin. */
export type CallSecrets = {
  /**
   * To the agent of the capability the arguments, until the call is over; to whoever called the result, for some minutes.
   * @throws Fault `unauthorized`, `forbidden`, `not-found`, `conflict`
   */
  read(id: string, principal: Principal): Promise<OpenedSecrets>;
  /**
   * Takes the secrets of a result from the agent of the capability, before it says what came of the call, and answers their
   * placeholders. Safe to repeat. @throws Fault `unauthorized`, `forbidden`, `not-found`, `invalid`, `conflict`, `too-large`
   */
  keepResult(id: string, values: SecretValues, principal: Principal): Promise<SecretValues>;
};

type Deps = { store: Pick<CallSecretStore, 'keepSecrets'>; calls: Calls; secrets: Secrets };

export function makeCallSecrets({ store, calls, secrets }: Deps): CallSecrets {
  return {
    async read(id, principal) {
      const bearer = requireToken(principal);
      const { capability, details } = await calls.called(id);
      const isOwner = isAgent(bearer, ownerOf(capability.name));
      const isAsker = bearer.kind === details.asked_by.kind && bearer.name === details.asked_by.name;
      if (!isOwner && !isAsker) throw notYours(bearer, id, ownerOf(capability.name));
      if (isOwner && !isAsker && (await calls.isOver(id))) throw isOver(id);
      const mayHaveArguments = isOwner && !(await calls.isOver(id));
      const { result } = await calls.call(id);
      return {
        arguments: mayHaveArguments
          ? await secrets.open(id, 'arguments', details.arguments, secretMembers(capability.input))
          : {},
        result: isAsker && result ? await secrets.open(id, 'result', result, secretMembers(capability.output)) : {},
      };
    },
    async keepResult(id, values, principal) {
      const bearer = requireToken(principal);
      const { capability } = await calls.called(id);
      const owner = ownerOf(capability.name);
      if (!isAgent(bearer, owner)) throw notYours(bearer, id, owner);
      const members = secretMembers(capability.output);
      const odd = Object.keys(values).find((member) => !members.includes(member));
      if (odd !== undefined) throw noSecret(odd, capability.name);
      if (await calls.isOver(id)) throw isOver(id);
      const sealed = secrets.seal(id, 'result', values);
      await store.keepSecrets(sealed);
      secrets.noteKept();
      return Object.fromEntries(sealed.map(({ member, placeholder }) => [member, placeholder]));
    },
  };
}

/** On loopback too: without a name there is nobody whom a secret could be for. */
export function requireToken(principal: Principal): Bearer {
  if (principal.kind !== 'anonymous') return principal;
  throw new Fault('unauthorized', 'Where a secret is taken or given a token is needed, also on this machine.', {
    hint: 'Send it as Authorization: Bearer lev_…\nThe owner’s lies in shared/credentials/owner.token in the home; others are made with: leveredge token create NAME --kind KIND --scope SCOPE',
  });
}

const isAgent = ({ kind, name }: Bearer, agent: string) => kind === 'agent' && name === agent;

function notYours({ name, kind }: Bearer, id: string, owner: string): Fault {
  return new Fault(
    'forbidden',
    `The secrets of the call ${quoted(id)} are for ${owner} and for whoever called, and the token is that of ${quoted(name)} (${kind}).`,
    {
      hint: `${owner} needs an agent’s token of its own: leveredge token create ${owner} --kind agent --scope … --file`,
    },
  );
}

function isOver(id: string): Fault {
  return new Fault('conflict', `The call ${quoted(id)} is over, and its secrets are not needed any more.`);
}

function noSecret(member: string, capability: string): Fault {
  const detail = `is no secret in what ${capability} gives`;
  return new Fault('invalid', `The result makes no sense: /result/${member} ${detail}.`, {
    mistakes: [{ pointer: `/result/${member}`, detail }],
  });
}
