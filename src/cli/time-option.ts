// Time options: a duration before now, or a time.
import { InvalidArgumentError } from 'commander';
import { systemClock } from '../runtime/clock.ts';
import { parseDuration } from '../runtime/units.ts';

/** A time as given and as wall clock in milliseconds. */
export interface TimeOption {
  readonly text: string;
  readonly at: number;
}

/** A date alone is in UTC. A time needs a zone: without one it would depend on the machine. */
const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;

const timeIn = (text: string): number => (TIME.test(text) ? Date.parse(text) : Number.NaN);

/**
 * A number alone is rejected, although settings read it as milliseconds: here it could also be a year, a date or a Unix time.
 * @throws InvalidArgumentError, to which commander adds the option's name
 */
export function parseTime(text: string): TimeOption {
  if (/^\d+$/.test(text))
    throw new InvalidArgumentError(
      'A number needs a unit: an age is 500ms, 30m, 2h or 7d, a UTC time 2026-11-25T10:00Z.',
    );
  const isAge = /^\d{1,6}(?:ms|[smhd])$/.test(text);
  const at = isAge ? systemClock.now() - parseDuration(text) : timeIn(text);
  if (Number.isNaN(at))
    throw new InvalidArgumentError('Expected an age (500ms, 30m, 2h, 7d) or a UTC time (2026-11-25T10:00Z).');
  return { text, at };
}
