// Build of a folder of sources: the files that the compiler writes, one pair for each source.
import { globSync } from 'node:fs';

/** Paths below the package's folder, with `/`. @param sources absolute path of the folder */
export function builtFrom(sources: string): string[] {
  return globSync('**/*.ts', { cwd: sources }).flatMap((path) =>
    ['.js', '.d.ts'].map((extension) => `dist/${path.replace(/\.ts$/, extension)}`),
  );
}
