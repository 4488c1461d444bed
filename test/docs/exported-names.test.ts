// Exported names: every name and every field of an exported type has a docstring, and every type that one names is exported.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportedNames, undocumentedNames, unexportedTypes } from './exported-names.ts';

const INDEX = 'src/index.ts';

test('every exported name and each of its fields has a docstring', () => {
  const names = exportedNames(INDEX).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['createProducer', 'Operator', 'SealdexError', 'DeadLetter']));
  expect(undocumentedNames(INDEX)).toEqual([]);
});

test('every type that an exported function or type names is exported', () => {
  expect(unexportedTypes(INDEX)).toEqual([]);
});

const inFiles = (types: string, index: string, check: (index: string) => string[]): string[] => {
  const folder = mkdtempSync(join(tmpdir(), 'sealdex-names-'));
  try {
    writeFileSync(join(folder, 'types.ts'), types);
    writeFileSync(join(folder, 'index.ts'), index);
    return check(join(folder, 'index.ts')).map((line) => line.replace(/^.*: /, ''));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

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
  const found = inFiles(TYPES, "export type { Outer } from './types.ts';\n", undocumentedNames);
  expect(found).toEqual(['Outer', 'Outer.second', 'Inner.third']);
});

const NAMED_TYPES = `type Shown = 'a' | 'b';
interface Options { readonly shown: Shown }
interface Base {
  readonly inherited: Hidden;
}
type Hidden = string;
class Broken {
  readonly secret: Secret = 1;
}
type Secret = number;

export interface Outer extends Base {
  /** Names Secret. */
  readonly list: readonly Shown[];
  /** @internal Not for users. */
  readonly secret: Secret;
  open(options: Options): Promise<Map<string, 'Secret'>>;
}

export function start(broken: Broken): void {
  const secret: Secret = 2;
}
`;

test('a named type without an export is found, also in an extended interface and in a parameter', () => {
  const index = "export { start } from './types.ts';\nexport type { Outer, Shown as Public } from './types.ts';\n";
  const found = inFiles(NAMED_TYPES, index, unexportedTypes);
  expect(found.toSorted()).toEqual(['Broken (of start)', 'Hidden (of Outer)', 'Options (of Outer)']);
});
