// Host of a command: standard streams, environment, signals and exit code, of the process or of the caller's replacement.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Readable, Writable } from 'node:stream';
import type { Environment } from '../runtime/config.ts';

export interface Output extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

type SignalListener = (signal: NodeJS.Signals) => void;

/** The part of `process` that commands use. */
export interface CommandHost {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  exitCode?: number | string | null | undefined;
  on(signal: 'SIGINT' | 'SIGTERM', listener: SignalListener): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: SignalListener): unknown;
  /** Ends the process at once. */
  exit(code: number): never;
}

const hosts = new AsyncLocalStorage<CommandHost>();

/** The host of the command that runs here: the process, unless `withHost` gave another. */
export const host = (): CommandHost => hosts.getStore() ?? process;

/** Runs `work`, and everything that it starts, in another host than the process. */
export const withHost = <T>(other: CommandHost, work: () => T): T => hosts.run(other, work);
