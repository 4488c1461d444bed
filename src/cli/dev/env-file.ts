// The env file: settings of the running `sealdex dev` of this directory, as a shell reads them.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Settings } from '../../runtime/config.ts';

export const FOLDER = '.sealdex';
export const ENV = join(FOLDER, 'env');

const QUOTE = "'\\''";

export const exportLines = (settings: Settings): string[] =>
  Object.entries(settings).map(([name, value]) => `export ${name}='${String(value).replaceAll("'", QUOTE)}'`);

/** Readable by its owner only, although the credentials in it are not secret. */
export function writeEnv(settings: Settings): void {
  mkdirSync(dirname(ENV), { recursive: true });
  writeFileSync(ENV, `${exportLines(settings).join('\n')}\n`, { mode: 0o600 });
}

/** Undefined without the file. A process that was killed leaves it behind. */
export function readEnv(): Record<string, string> | undefined {
  if (!existsSync(ENV)) return undefined;
  const lines = readFileSync(ENV, 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, name, value] = /^export (\w+)='(.*)'$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value.replaceAll(QUOTE, "'")]];
    }),
  );
}

export const removeEnv = (): void => rmSync(ENV, { force: true });
