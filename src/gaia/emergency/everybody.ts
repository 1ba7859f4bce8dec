import { reasonOf } from '../../base/fault.ts';
import type { Operation } from './operation.ts';
import type { PhoneDeps } from './phone.ts';

/**
 * Who hears of an operation: all who are listed. A list that cannot be read just now, as one that somebody is changing, keeps nothing
 * from going on: then it is who asked.
 */
export function everybody({ users, log }: Pick<PhoneDeps, 'users' | 'log'>, { user }: Operation): readonly number[] {
  try {
    return [...users()];
  } catch (error) {
    log.error('the list of users cannot be read', { because: reasonOf(error) });
    return [user];
  }
}
