// Which dead letters a command is about: the options that list, replay and discard share, and what they mean.
import { InvalidArgumentError, type Command } from 'commander';
import type { LetterFilter } from '../app.ts';
import { systemClock } from '../clock.ts';
import { isCode, type Code } from '../errors.ts';
import { checkName } from '../names.ts';
import { whole } from './whole.ts';

export interface FilterOptions {
  readonly tenant?: string;
  readonly code?: Code;
  readonly since?: Since;
  readonly limit?: number;
}

/** A time as it was given and as what it meant then: wall clock, milliseconds. */
interface Since {
  readonly text: string;
  readonly at: number;
}

export const withFilter = (command: Command, limit: string): Command =>
  command
    .option('--tenant <name>', 'those of this tenant')
    .option('--code <code>', 'those that died of this, as CONTENT_MISSING', codeIn)
    .option('--since <time>', 'those that died since then: 30m, 2h or 7d ago, or 2026-11-25T10:00Z', sinceIn)
    .option('--limit <n>', limit, whole);

/** @throws SealdexError `DOCUMENT_INVALID` naming the tenant */
export function filterOf({ tenant, code, since, limit }: FilterOptions): LetterFilter {
  return {
    ...(tenant === undefined ? {} : { tenant: checkName(tenant, 'tenant') }),
    ...(code === undefined ? {} : { code }),
    ...(since === undefined ? {} : { since: since.at }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** The same options again, for a command that goes on with these letters. */
export const optionsOf = ({ tenant, code, since, limit }: FilterOptions): string[] => [
  ...(tenant === undefined ? [] : ['--tenant', tenant]),
  ...(code === undefined ? [] : ['--code', code]),
  ...(since === undefined ? [] : ['--since', since.text]),
  ...(limit === undefined ? [] : ['--limit', String(limit)]),
];

function codeIn(text: string): Code {
  const code = text.toUpperCase();
  if (!isCode(code)) throw new InvalidArgumentError('There is no such code; the README has them all.');
  return code;
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A date alone begins in UTC; a time without a zone would mean another one on every machine. */
const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;

function sinceIn(text: string): Since {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const at = count === undefined ? timeIn(text) : systemClock.now() - Number(count) * (UNITS_MS[unit] ?? 0);
  if (Number.isNaN(at)) throw new InvalidArgumentError('Give 30m, 2h, 7d, or a time as 2026-11-25T10:00Z.');
  return { text, at };
}

const timeIn = (text: string): number => (TIME.test(text) ? Date.parse(text) : Number.NaN);
