// Documentation of exported names: every name and every field of an exported type has a docstring.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportedNames, undocumentedNames } from './exported-names.ts';

const INDEX = 'src/index.ts';

test('every exported name and each of its fields has a docstring', () => {
  const names = exportedNames(INDEX).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['createProducer', 'Operator', 'SealdexError', 'DeadLetter']));
  expect(undocumentedNames(INDEX)).toEqual([]);
});

const TYPES = `interface Inner {
  readonly third: number;
}

export interface Outer extends Inner {
  /** Has one. */
  readonly first: number;
  second(): void;
}
`;

test('a name without a docstring is found, also in an extended interface', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealdex-names-'));
  try {
    writeFileSync(join(folder, 'types.ts'), TYPES);
    writeFileSync(join(folder, 'index.ts'), "export type { Outer } from './types.ts';\n");
    const found = undocumentedNames(join(folder, 'index.ts')).map((line) => line.replace(/^.*: /, ''));
    expect(found).toEqual(['Outer', 'Outer.second', 'Inner.third']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
