import { InvalidArgumentError } from 'commander';

/** A whole number of at least 1, for --limit and --priority; how large it may be is the bus' word. */
export function wholeNumber(value: string): number {
  if (!/^\d{1,15}$/.test(value) || Number(value) < 1)
    throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(value);
}

/** A whole number, 0 too. */
export function wholeOrNone(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(value);
}

/** Seconds, also parts of one. */
export function seconds(value: string): number {
  if (!/^\d+(\.\d+)?$/.test(value))
    throw new InvalidArgumentError('It must be a number of seconds, such as 30 or 0.5.');
  return Number(value);
}

/** A text of more than blanks. */
export function notBlank(value: string): string {
  if (value.trim() === '') throw new InvalidArgumentError('It must not be blank.');
  return value;
}

/** Minutes, also parts of one: 0.5 is 30 seconds. */
export function minutes(value: string): number {
  if (!/^\d+(\.\d+)?$/.test(value))
    throw new InvalidArgumentError('It must be a number of minutes, such as 30 or 0.5.');
  return Number(value);
}

/** Collects an option that may be given several times. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
