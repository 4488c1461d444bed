// Whole numbers on the command line.
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError, which the option's name is added to */
export function parsePositiveInt(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a positive integer.');
  return Number(text);
}
