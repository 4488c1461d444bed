// Check lines: status, name and observation of a check, with the remedy below.
import type { KeyCheck } from '../app/app.ts';
import { hanging } from './table.ts';
import { oneLine, printNotice, toned, type Line } from './terminal.ts';

export interface CheckLine {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly observed: string;
  readonly remedy?: string;
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const;

/** `FAIL  key state        The key is Disabled. The tenant enables the key.`; the wide form is one line. */
export function checkLines({ name, status, observed, remedy }: CheckLine, width: number, isWide: boolean): Line[] {
  const prefix = `${WORDS[status].padEnd(5)} ${name.padEnd(width)} `;
  const text = oneLine(remedy === undefined ? observed : `${observed} ${remedy}`);
  const lines = isWide ? [`${prefix}${text}`] : hanging(prefix, text);
  return lines.map((line) => toned(line, status === 'ok' ? undefined : status));
}

/** Prints the warnings of a check whose change was made. */
export function printWarnings(check: KeyCheck | undefined): void {
  for (const { step, status, observed, remedy } of check?.steps ?? [])
    if (status === 'warn') printNotice(toned(`warn  ${step}: ${[observed, remedy].join(' ').trim()}`, 'warn'));
}
