// Prompt: asks for confirmation on the terminal before an irreversible change.
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { orAbort } from '../runtime/clock.ts';
import { host } from './host.ts';

/** Whether the command runs on a terminal. */
export const canAsk = (): boolean => host().stdin.isTTY === true && host().stderr.isTTY === true;

/** Returns the typed text, trimmed; Ctrl-D returns an empty text. */
export async function promptUser(question: string, signal: AbortSignal): Promise<string> {
  const asking = createInterface({ input: host().stdin, output: host().stderr, terminal: false });
  try {
    const ended = once(asking, 'close').then(() => '');
    return (await orAbort(Promise.race([asking.question(question), ended]), signal)).trim();
  } finally {
    asking.close();
  }
}

export const isYes = (answer: string): boolean => /^y(?:es)?$/i.test(answer);
