// Moments on the command line: so long ago, or a time.
import { InvalidArgumentError } from 'commander';
import { systemClock } from '../runtime/clock.ts';
import { parseDuration } from '../runtime/units.ts';

/** A moment as it was given and as what it meant then: wall clock, milliseconds. */
export interface TimeOption {
  readonly text: string;
  readonly at: number;
}

/** A date alone begins in UTC; a time without a zone would mean another one on every machine. */
const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;

const timeIn = (text: string): number => (TIME.test(text) ? Date.parse(text) : Number.NaN);

/** @throws InvalidArgumentError, which the option's name is added to */
export function parseTime(text: string): TimeOption {
  const isAge = /^\d{1,6}[smhd]$/.test(text);
  const at = isAge ? systemClock.now() - parseDuration(text) : timeIn(text);
  if (Number.isNaN(at))
    throw new InvalidArgumentError('Expected an age (30m, 2h, 7d) or a UTC time (2026-11-25T10:00Z).');
  return { text, at };
}
