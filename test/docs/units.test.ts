// Durations and sizes in help and messages have the form that settings accept: 500ms, 90s, 15m, 64MiB. Bytes may be counted.
// Sentences of pages may write a unit as a word, as in 5 minutes, unless the value is that of a setting beside it.
import { expect, test } from 'vitest';
import { codeOf } from '../layers/source-text.ts';
import { fileOf, PAGES } from './pages.ts';
import { helps, PRINTING } from './texts.ts';

const UNIT = String.raw`(?:s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|ms|milliseconds?|KB|kB|MB|GB|KiB|MiB|GiB)\b`;

/** A unit apart from its number, or from a substitution, after which a piece of a template begins. */
const OTHER_FORM = new RegExp(String.raw`\b\d[\d.,]*[ -]${UNIT}|^ ${UNIT}|\b(?:an|one) (?:minute|hour|day)\b`);

test.each(await helps())('durations and sizes in the help of %s have the form of settings', (_, help) => {
  expect(help.split('\n').filter((line) => OTHER_FORM.test(line))).toEqual([]);
});

test.each(PRINTING)('durations and sizes in the texts of %s have the form of settings', (path) => {
  expect(codeOf(fileOf(path)).texts.filter((text) => OTHER_FORM.test(text))).toEqual([]);
});

const SHORT = String.raw`(?:s|ms|min|h|d|KB|kB|MB|GB|KiB|MiB|GiB)\b`;
const WORD = '(?:second|minute|hour|day)s?';
const OTHER_FORM_ON_PAGE = new RegExp(
  String.raw`\b\d[\d.,]* ${SHORT}|\d ${WORD} \(\`?SEALDEX_|SEALDEX_\w+\`?(?:,? | \()\d+ ${WORD}`,
);

test.each([...PAGES, 'SECURITY.md', 'packages/extract/README.md', 'packages/local-aws/README.md'])(
  'abbreviated units and values of settings on %s have the form of settings',
  (page) => {
    expect(
      fileOf(page)
        .split('\n')
        .filter((line) => OTHER_FORM_ON_PAGE.test(line)),
    ).toEqual([]);
  },
);

test('a value of a setting in another form is found on a page', () => {
  const lines = ['`SEALDEX_A_MS` (90 days)', '30 days (`SEALDEX_A_MS`)', '(`SEALDEX_A_MS`, 5 minutes)', '128 MiB'];
  expect(lines.filter((line) => OTHER_FORM_ON_PAGE.test(line))).toEqual(lines);
  expect(OTHER_FORM_ON_PAGE.test('within 5 minutes, `SEALDEX_A_MS` (90d)')).toBe(false);
});

test('another form is found with and without a substitution', () => {
  const source =
    "const a = `in ${b} days` + 'within 5 s' + 'a 5-minute limit' + `${c}d`; const d = '90d, 64MiB, 32 bytes';";
  expect(codeOf(source).texts.filter((text) => OTHER_FORM.test(text))).toEqual([
    ' days',
    'within 5 s',
    'a 5-minute limit',
  ]);
});
