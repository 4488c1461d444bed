// Filter options of dead letters: shared by list, replay and discard.
import { InvalidArgumentError, type Command } from 'commander';
import type { LetterFilter } from '../app/app.ts';
import { isCode, type Code } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { given } from './arguments.ts';
import { parseTime, type TimeOption } from './time-option.ts';
import { ONLY_TENANT } from './option-texts.ts';
import { parsePositiveInt } from './positive-int.ts';

export interface FilterOptions {
  readonly tenant?: string;
  readonly code?: Code;
  readonly since?: TimeOption;
  readonly limit?: number;
}

export const withFilter = (command: Command, limit: string): Command =>
  command
    .option('--tenant <name>', ONLY_TENANT)
    .option('--code <code>', 'only this code, for example CONTENT_MISSING', parseCode)
    .option(
      '--since <time>',
      'only newer: an age with its unit (30m, 2h, 7d) or a UTC time (2026-11-25T10:00Z)',
      parseTime,
    )
    .option('--limit <n>', limit, parsePositiveInt);

/** @throws SealdexError `DOCUMENT_INVALID` naming the tenant */
export function filterOf({ tenant, code, since, limit }: FilterOptions): LetterFilter {
  return {
    ...(tenant === undefined ? {} : { tenant: checkName(tenant, 'tenant') }),
    ...(code === undefined ? {} : { code }),
    ...(since === undefined ? {} : { since: since.at }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** The options as arguments of a further command for the same dead letters. */
export const optionsOf = ({ tenant, code, since, limit }: FilterOptions): string[] => [
  ...(tenant === undefined ? [] : ['--tenant', tenant]),
  ...(code === undefined ? [] : ['--code', code]),
  ...(since === undefined ? [] : ['--since', since.text]),
  ...(limit === undefined ? [] : ['--limit', String(limit)]),
];

/** Arguments that select the same dead letters in a command that changes them: without a filter, `--all`. */
export function selectionOf({ tenant, code, since }: FilterOptions): string[] {
  const named = optionsOf(given({ tenant, code, since }));
  return named.length === 0 ? ['--all'] : named;
}

/** @throws InvalidArgumentError, to which commander adds the option's name */
export function parseCode(text: string): Code {
  const code = text.toUpperCase();
  if (!isCode(code)) throw new InvalidArgumentError('Unknown code. Codes are listed in docs/codes.md.');
  return code;
}
