// Result of a command: its exit code and its output, as lines and as JSON.
import type { Settings } from '../../src/runtime/config.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws Error if a stack trace was printed, which no command may do. */
export function withoutStack(args: readonly string[], ended: Ended): Ended {
  const stack = /^\s+at .*[:(]\d+/m.exec(`${ended.stdout}\n${ended.stderr}`);
  if (stack) throw new Error(`sealdex ${args.join(' ')} printed a stack trace: ${stack[0].trim()}`);
  return ended;
}

/** The text with each wrapped value of a fact on one line. */
export const unwrapped = (text: string): string => text.replaceAll(/\n {5,}/g, ' ');

export const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** Lines of standard error without those that report progress, which appear on a slow machine. */
export const noticesOf = (stderr: string): string[] =>
  linesOf(stderr).filter(
    (line) =>
      !/^(finished \d+\/\d+|uploaded .*|Still extracting the file\.|No job has finished for 10s\..*)$/.test(line),
  );

/** Every line of an output as JSON; fails for any other line. */
export const jsonOf = (text: string): Record<string, unknown>[] =>
  linesOf(text).map((line) => JSON.parse(line) as Record<string, unknown>);

/** Settings as environment variables. */
export const textsOf = (settings: Settings): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
