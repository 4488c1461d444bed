// Words of the texts that users read: help, errors, log messages, tables and pages have none of the retired ones.
// The names of tests and all comments have none of them either.
import { expect, test } from 'vitest';
import { codeOf } from '../layers/source-text.ts';
import { DOCS, fileOf } from './pages.ts';
import { filesOf, helps, PRINTING, textsIn } from './texts.ts';

/** Each has a plain word in its place, or leaves open which part acts. */
const RETIRED =
  /\b(?:(?:some|any) ?body|nobody|whoever|chores?|birth marks?|heed(?:s|ed)?|mend(?:s|ed)?|anew|of (?:which|ours)|by (?:itself|themselves)|for good|go(?:es)? on|tells?|told|hears?|looks? (?:at|for|again)|stands?|stood|(?<!platform[ -])faults?|(?:we|our|ours)|us(?!-))\b|\b(?:can|do|does|is|are|would|could|should|wo|has|have)n['’]t\b/i;

const retiredIn = (text: string): string[] =>
  text.split('\n').filter((line) => RETIRED.test(line.replaceAll(/`[^`]*`|^ {4}.*$/g, '')));

test.each(await helps())('the help of %s has no retired word', (_, help) => {
  expect(retiredIn(help)).toEqual([]);
});

test.each(PRINTING)('the texts of %s have no retired word', (path) => {
  expect(textsIn(fileOf(path)).flatMap(retiredIn)).toEqual([]);
});

/** Code is no person: it has, returns, reads or receives. A person has a role. */
const RETIRED_IN_COMMENTS =
  /\b(?:(?:some|any|every) ?body|nobody|whoever|heed(?:s|ed)?|mend(?:s|ed)?|anew|tells?|told|hears?|heard|knows?|stands?|stood|we|our|ours)\b/i;

const TESTS = ['packages/extract/test', 'packages/local-aws/test', 'test'].flatMap(filesOf);

test.each(['bench', 'packages/extract/src', 'packages/local-aws/src', 'src'].flatMap(filesOf).concat(TESTS))(
  'the comments of %s have no retired word',
  (path) => {
    const lines = codeOf(fileOf(path)).comments.flatMap((comment) => comment.split('\n'));
    expect(lines.filter((line) => RETIRED_IN_COMMENTS.test(line.replaceAll(/`[^`]*`/g, '')))).toEqual([]);
  },
);

test.each(['README.md', 'CHANGELOG.md', ...DOCS.filter((page) => page.endsWith('.md'))])(
  '%s has no retired word',
  (page) => {
    expect(retiredIn(fileOf(page))).toEqual([]);
  },
);

/** A name and those around it are one sentence: subject, verb, result, condition. */
const RETIRED_IN_NAMES = new RegExp(
  `${RETIRED.source}|^(?:that|of)\\b|\\b(?:who|whose|whom|everybody|whatever|says?|said|asks?|asked|(?<!dead )letters?)\\b`,
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
    "const a = 'by itself it'; // nobody here\nconst b = `x for good ${c ? `we ${d} it` : 'whoever it'} heed it`;";
  const found = ['by itself it', 'x for good ', 'whoever it', ' heed it'];
  expect(textsIn(source).flatMap(retiredIn)).toEqual(found);
});

test('comments are found at the end of a line and over several lines, but not in literals', () => {
  const source = "const a = '// b'; // c\n/* d\n e */ const f = `/* g */`;";
  expect(codeOf(source).comments).toEqual(['// c', '/* d\n e */']);
});
