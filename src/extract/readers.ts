// The package with the file readers, `@sealdex/extract`: where it is installed, and the sentence for when it is not.
import { realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname } from 'node:path';

export const READERS_MISSING =
  'The package @sealdex/extract, which reads files, is not installed. Install it: npm install @sealdex/extract';

/** Real path of the installed package's folder; undefined when the package is not installed. */
export function readersFolder(): string | undefined {
  try {
    const manifest = findPackageJSON('@sealdex/extract', import.meta.url);
    return manifest === undefined ? undefined : dirname(realpathSync(manifest));
  } catch {
    return undefined;
  }
}
