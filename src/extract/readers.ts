// The package with the file readers, `@sealdex/extract`: its folder, and the message if it is not installed.
import { realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname } from 'node:path';

export const READERS_MISSING =
  'The package @sealdex/extract, which reads files, is not installed. Install it: npm install @sealdex/extract';

/** Real path of the package's folder; undefined if it is not installed. */
export function readersFolder(): string | undefined {
  try {
    const manifest = findPackageJSON('@sealdex/extract', import.meta.url);
    return manifest === undefined ? undefined : dirname(realpathSync(manifest));
  } catch {
    return undefined;
  }
}
