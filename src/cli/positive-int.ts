// Positive integers on the command line.
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError, to which commander adds the option's name */
export function parsePositiveInt(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
}
