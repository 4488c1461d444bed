// How a checked thing is told: verdict, name, what was seen, and below it what to do.
import type { KeyCheck } from '../app/app.ts';
import { oneLine, printNotice } from './terminal.ts';

export interface CheckLine {
  readonly name: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly saw: string;
  readonly todo?: string;
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const;

/** One line, so that it can be searched for: `FAIL  key state        The key is Disabled. The tenant enables the key.` */
export const checkLine = ({ name, verdict, saw, todo }: CheckLine, width: number): string =>
  `${WORDS[verdict].padEnd(5)} ${name.padEnd(width)} ${oneLine(todo === undefined ? saw : `${saw} ${todo}`)}`;

/** Beside a change that was made all the same. */
export function printWarnings(check: KeyCheck | undefined): void {
  for (const { step, verdict, saw, todo } of check?.steps ?? [])
    if (verdict === 'warn') printNotice(`warn  ${step}: ${[saw, todo].join(' ').trim()}`);
}
