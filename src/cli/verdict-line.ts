// How a checked thing is told: verdict, name, what was seen, and below it what to do.
import { oneLine } from './terminal.ts';

export interface Verdict {
  readonly name: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly saw: string;
  readonly todo?: string;
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL' } as const;

/** One line, so that it can be searched for: `FAIL  key state        The key is Disabled. The tenant enables the key.` */
export const verdictLine = ({ name, verdict, saw, todo }: Verdict, width: number): string =>
  `${WORDS[verdict].padEnd(5)} ${name.padEnd(width)} ${oneLine(todo === undefined ? saw : `${saw} ${todo}`)}`;
