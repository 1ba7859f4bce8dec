import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { agentScopes } from '../src/capabilities/agent-scopes.ts';
import { agentNames } from '../src/channels/cli/door.ts';
import { newTokenSchema } from '../src/events/token.ts';

/** The command that its page gives for the token of an agent. */
function scopesOnItsPage(name: string): string[] {
  const page = readFileSync(join(import.meta.dirname, `../docs/agents/${name}.md`), 'utf8');
  const [, command] = new RegExp(`token create ${name.toUpperCase()} --kind agent (.*?)--file`).exec(page) ?? [];
  assert.ok(command, `docs/agents/${name}.md says how its token is made`);
  return [...command.matchAll(/--scope (?:'([^']+)'|(\S+))/g)].map(([, quoted, plain]) => (quoted ?? plain) as string);
}

describe('the scopes of the agents', () => {
  for (const name of agentNames)
    it(`are for ${name} those of its page, and a token can have them`, () => {
      const scopes: readonly string[] = agentScopes[name];
      assert.deepEqual(scopes, scopesOnItsPage(name));
      const wanted = { name: name.toUpperCase(), kind: 'agent', scopes, per_minute: null, expires_in_ms: null };
      assert.deepEqual(newTokenSchema.parse(wanted).scopes, scopes);
    });

  it('are of the agents that there are, and of no other', () => {
    assert.deepEqual(Object.keys(agentScopes), agentNames);
  });
});
