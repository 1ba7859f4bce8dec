import { systemClock } from '../src/base/clock.ts';
import { createToken } from '../src/bus/store/sqlite/token-file.ts';
import type { NewToken } from '../src/events/token.ts';
import type { BusProcess } from './bus-server.fixtures.ts';

/** A token of a bus that runs, made as the command line makes it; answers its secret. */
export async function tokenFor(
  { databaseFile }: Pick<BusProcess, 'databaseFile'>,
  { name = 'ADA', kind = 'agent', scopes = ['read'], ...rest }: Partial<NewToken>,
): Promise<{ secret: string; id: string; headers: { authorization: string } }> {
  const wanted = { name, kind, scopes, per_minute: null, expires_in_ms: null, ...rest };
  const { token, secret } = await createToken(databaseFile, wanted, systemClock);
  return { secret, id: token.id, headers: { authorization: `Bearer ${secret}` } };
}
