// The self-test of the import scanner: it finds each form, and nothing that is only similar to one.
import { describe, expect, test } from 'vitest';
import { hasDefaultExport, importsOf, isBarrel, type How } from './imports.ts';
import { codeOf } from './source-text.ts';

const found = (source: string): string[] => importsOf(codeOf(source)).map(({ how, target }) => `${how} ${target}`);

describe('each form of import is found:', () => {
  test.each<[source: string, how: How]>([
    ["import { a } from './x.ts';", 'value'],
    ["import { a, type B } from './x.ts';", 'value'],
    ["import { type B } from './x.ts';", 'value'],
    ["import {\n  a,\n  b as c,\n} from './x.ts';", 'value'],
    ["import { 'a name' as a } from './x.ts';", 'value'],
    ["import a from './x.ts';", 'value'],
    ["import a, { b } from './x.ts';", 'value'],
    ["import a, * as b from './x.ts';", 'value'],
    ["import * as a from './x.ts';", 'value'],
    ["import type from './x.ts';", 'value'],
    ["import from from './x.ts';", 'value'],
    ["import './x.ts';", 'value'],
    ["import{a}from'./x.ts'", 'value'],
    ['import { a } from "./x.ts" with { type: "json" };', 'value'],
    ["import /* { b } from './y.ts' */ { a } // from './z.ts'\n from './x.ts';", 'value'],
    ["import type { A } from './x.ts';", 'type'],
    ["import type A from './x.ts';", 'type'],
    ["import type * as A from './x.ts';", 'type'],
    ["import type{A}from'./x.ts';", 'type'],
    ["export { a } from './x.ts';", 'value'],
    ["export { a, type B } from './x.ts';", 'value'],
    ["export { default as a } from './x.ts';", 'value'],
    ["export * from './x.ts';", 'value'],
    ["export * as a from './x.ts';", 'value'],
    ["export type { A } from './x.ts';", 'type'],
    ["export type * from './x.ts';", 'type'],
    ["const a = await import('./x.ts');", 'dynamic'],
    ['const a = await import(`./x.ts`);', 'dynamic'],
    ["const a = await import(\n  './x.ts',\n  { with: { type: 'json' } },\n);", 'dynamic'],
    ["type A = typeof import('./x.ts');", 'dynamic'],
    ["const a = `b ${(await import('./x.ts')).c} d`;", 'dynamic'],
    ["const a = `${`${'}'} ${await import('./x.ts')}`}`;", 'dynamic'],
    ["const a = () => import/* b */('./x.ts');", 'dynamic'],
    ["import a = require('./x.ts');", 'require'],
    ["const a = require('./x.ts');", 'require'],
  ])('%s', (source, how) => {
    expect(found(source)).toEqual([`${how} ./x.ts`]);
  });
});

test.each([
  'await import(name);',
  'await import(`./${name}.ts`);',
  "await import('./' + name);",
  "await import(dev ? './x.ts' : './y.ts');",
])('an import without a literal target is opaque: %s', (source) => {
  expect(found(source)).toEqual(['opaque ']);
});

test.each([
  "// import { a } from './x.ts';",
  "/* import('./x.ts') */",
  '/**\n * import { a } from "./x.ts";\n */',
  "const a = `import { a } from './x.ts';`;",
  'const a = "import(\'./x.ts\')";',
  "const a = 'it\\'s import(\"./x.ts\")';",
  "const a = /import('.\\/x.ts')/;",
  "const a = b.replace(/[/'\"]/g, '') + \"import('./x.ts')\";",
  'const a = import.meta.url;',
  "store.import('./x.ts');",
  "const imports = ['./x.ts'];",
  "export const from = './x.ts';",
  "export { from };\nconst a = './x.ts';",
])('text similar to an import is not found: %s', (source) => {
  expect(found(source)).toEqual([]);
});

test('an import after quotes, slashes and braces of every kind is still found, with its line', () => {
  const source = [
    "const a = 'don\\'t // stop';",
    'const b = `a } ${c ? `${d}/*` : "}"} \\` // not a comment`;',
    'const e = f / 2 / g; // it\'s a "division"',
    'const h = /["\'`/]\\//.test(i) ? j : k;',
    'if (l) return /`/;',
    'const m = { n: { o: 1 } };',
    "const p = await import('./x.ts');",
  ].join('\n');
  expect(importsOf(codeOf(source))).toEqual([{ target: './x.ts', how: 'dynamic', line: 7 }]);
});

test('several imports of a file are found in the order of their lines', () => {
  const source =
    "import { a } from './a.ts';\nimport type { B } from './b.ts';\nexport * from './c.ts';\nawait import('./d.ts');";
  expect(found(source)).toEqual(['value ./a.ts', 'type ./b.ts', 'value ./c.ts', 'dynamic ./d.ts']);
});

test.each([
  'export default 1;',
  'export default function a() {}',
  'const a = 1;\nexport { a as default };',
  "export { default } from './x.ts';",
  "export * as default from './x.ts';",
  'export = a;',
])('a default export is found: %s', (source) => {
  expect(hasDefaultExport(codeOf(source))).toBe(true);
});

test.each(['export const a = { default: 1 };', "export { default as a } from './x.ts';", '// export default'])(
  'a named export is not a default export: %s',
  (source) => {
    expect(hasDefaultExport(codeOf(source))).toBe(false);
  },
);

test.each([
  "// Why.\nexport * from './x.ts';\nexport { a, type B } from './y.ts';",
  "import { a } from './x.ts';\nexport { a };",
])('a file that only re-exports is a barrel: %s', (source) => {
  expect(isBarrel(codeOf(source))).toBe(true);
});

test.each(["export * from './x.ts';\nexport const a = 1;", "import './x.ts';", ''])(
  'a file with its own code, or without exports, is not a barrel: %s',
  (source) => {
    expect(isBarrel(codeOf(source))).toBe(false);
  },
);
