// Retired words: none are in what users read (help, errors, log messages, tables, pages), in names of tests, in comments or in
// pages for developers. The last two may name the faults that tests inject.
import { expect, test } from 'vitest';
import { codeOf } from '../layers/source-text.ts';
import { DOCS, fileOf } from './pages.ts';
import { filesOf, helps, PRINTING, textsIn } from './texts.ts';

/** Each has a plain word in its place, or leaves open which part acts. */
const WORDS = String.raw`(?:some|any) ?body|nobody|whoever|chores?|birth marks?|heed(?:s|ed)?|mend(?:s|ed)?|anew|of (?:which|ours)|by (?:itself|themselves)|for good|go(?:es)? on|tells?|told|hears?|looks? (?:at|for|again)|stands?|stood|we|our|ours|us(?!-)|(?:can|do|does|is|are|would|could|should|wo|has|have)n['’]t`;

const RETIRED = String.raw`\b(?:${WORDS}|(?<!platform[ -])faults?)\b`;

/** Code is no person: it has, returns, reads or receives. A person has a role. */
const RETIRED_FOR_DEVELOPERS = String.raw`\b(?:${WORDS}|every ?body|heard|knows?)\b`;

/** Each retired word with the words around it. A phrase may continue on the next line, after a comment sign. */
function retiredIn(text: string, retired = RETIRED): string[] {
  const joined = text.replaceAll(/`[^`\n]*`/g, '').replaceAll(/[ \t]*\n[ \t]*(?:\/\/|[*#>|-])*[ \t]*/g, ' ');
  return joined.match(new RegExp(`.{0,30}${retired}.{0,30}`, 'gi')) ?? [];
}

const retiredForDevelopersIn = (text: string): string[] => retiredIn(text, RETIRED_FOR_DEVELOPERS);

test.each(await helps())('the help of %s has no retired word', (_, help) => {
  expect(retiredIn(help)).toEqual([]);
});

const SCRIPTS = ['bin/sealdex.js', '.ci/pack.js', '.ci/ready.js', '.ci/stage.js', 'examples/make-files.ts'];

test.each([...PRINTING, ...SCRIPTS])('the texts of %s have no retired word', (path) => {
  expect(textsIn(fileOf(path)).flatMap((text) => retiredIn(text))).toEqual([]);
});

const TESTS = ['packages/extract/test', 'packages/local-aws/test', 'test'].flatMap(filesOf);
const SOURCES = ['bench', 'packages/extract/src', 'packages/local-aws/src', 'src'].flatMap(filesOf);

test.each([...SOURCES, ...TESTS, ...SCRIPTS])('the comments of %s have no retired word', (path) => {
  expect(retiredForDevelopersIn(codeOf(fileOf(path)).comments.join('\n'))).toEqual([]);
});

test.each(['README.md', 'CHANGELOG.md', 'SECURITY.md', 'packages/extract/README.md', 'docker-compose.yml', ...DOCS])(
  '%s has no retired word',
  (page) => {
    expect(retiredIn(fileOf(page))).toEqual([]);
  },
);

test.each(['ARCHITECTURE.md', 'CONTRIBUTING.md', 'packages/local-aws/README.md', 'Dockerfile', '.ci/run'])(
  '%s has no retired word',
  (page) => {
    expect(retiredForDevelopersIn(fileOf(page))).toEqual([]);
  },
);

/** A name and those around it are one sentence: subject, verb, result, condition. */
const RETIRED_IN_NAMES = new RegExp(
  `${RETIRED}|^(?:that|of)\\b|\\b(?:who|whose|whom|everybody|whatever|says?|said|asks?|asked|(?<!dead )letters?)\\b`,
  'i',
);

/** First arguments of test, it and describe that are literals, also after a table of cases. */
function testNamesIn(source: string): string[] {
  const { text, strings } = codeOf(source);
  const calls = text.matchAll(/(?:\b(?:test|it|describe)(?:\.\w+)*|\))\(\s*"(\d+)",/g);
  return [...calls].map(([, index]) => strings[Number(index)]!);
}

test.each(TESTS.filter((path) => path.endsWith('.test.ts')))('the test names of %s have no retired word', (path) => {
  expect(testNamesIn(fileOf(path)).filter((name) => RETIRED_IN_NAMES.test(name))).toEqual([]);
});

test('a retired word is found in the name of a test, of a group and of a table of cases', () => {
  const source =
    "describe('a', () => {\n test.each([['who']])(\n'of %s', fn);\n it.only('nobody is', fn);\n test('fine', fn); });";
  expect(testNamesIn(source)).toEqual(['a', 'of %s', 'nobody is', 'fine']);
  expect(testNamesIn(source).filter((name) => RETIRED_IN_NAMES.test(name))).toEqual(['of %s', 'nobody is']);
});

test('a retired word is found in a literal and in each piece of a template, not in a comment', () => {
  const source =
    "const a = 'by itself it'; // nobody here\nconst b = `x for good ${c ? `we ${d} stands` : 'whoever it'} heed it`;";
  const found = ['by itself it', 'x for good ', 'we ', ' stands', 'whoever it', ' heed it'];
  expect(textsIn(source).flatMap((text) => retiredIn(text))).toEqual(found);
});

test('a retired phrase is found over two lines and in an indented line, not between backticks', () => {
  expect(retiredIn('    it goes\n    on')).toEqual(['    it goes on']);
  expect(retiredIn('// a key, of\n// which\n * one `told`')).toEqual(['// a key, of which one ']);
});

test('comments are found at the end of a line and over several lines, but not in literals', () => {
  const source = "const a = '// b'; // c\n/* d\n e */ const f = `/* g */`;";
  expect(codeOf(source).comments).toEqual(['// c', '/* d\n e */']);
});
