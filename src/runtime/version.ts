// Version of sealdex, as package.json states it.
import { readFileSync } from 'node:fs';

/** Found from src/runtime and from dist/runtime alike. */
const PACKAGE = new URL('../../package.json', import.meta.url);

export const VERSION = (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string }).version;
