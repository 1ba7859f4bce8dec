import type { TargetUnit } from '../target.ts';
import type { Located } from './located.ts';

/** What systemd takes for a name: no path, no template without its instance. */
const unitName = /^[A-Za-z0-9_:][A-Za-z0-9_:.\\-]*(@[A-Za-z0-9_:.\\-]+)?\.(service|timer|socket|path)$/;
const maxName = 255;
const userName = /^[a-z_][a-z0-9_.-]{0,31}$/i;
const forms = 'the name of a unit, as atlas.service, or { name: atlas.service, user: OWNER } for one of a user';

/** A target's own `units`, in their order. */
export function unitsIn(at: Located): TargetUnit[] {
  const units: TargetUnit[] = [];
  for (const item of at.get('units')?.items(`must be a list, each ${forms}`) ?? []) {
    const unit = unitIn(item);
    if (unit === undefined) continue;
    if (units.some(({ name, user }) => name === unit.name && user === unit.user)) item.wrong(`is ${unit.name} again`);
    units.push(unit);
  }
  return units;
}

function unitIn(item: Located): TargetUnit | undefined {
  if (typeof item.value !== 'string' && !item.isMap) {
    item.wrong(`must be ${forms}`);
    return undefined;
  }
  item.knownKeys(['name', 'user']);
  const name = item.isMap ? item.text('name') : item.value;
  const user = item.text('user') ?? null;
  if (typeof name !== 'string' || name.length > maxName || !unitName.test(name))
    item.wrong('is no unit that can be stopped: its name must end in .service, .timer, .socket or .path');
  else if (item.isMap && user === null)
    item.wrong('needs the user whose unit it is; for one of the machine its name is enough');
  else if (user !== null && !userName.test(user)) item.wrong(`has ${JSON.stringify(user)}, which is no name of a user`);
  else return { name, user };
  return undefined;
}
