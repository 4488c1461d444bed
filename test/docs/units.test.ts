// Durations and sizes in help and messages have the form that settings accept: 500ms, 90s, 15m, 64MiB. Bytes may be counted.
import { expect, test } from 'vitest';
import { codeOf } from '../layers/source-text.ts';
import { fileOf } from './pages.ts';
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

test('another form is found with and without a substitution', () => {
  const source =
    "const a = `in ${b} days` + 'within 5 s' + 'a 5-minute limit' + `${c}d`; const d = '90d, 64MiB, 32 bytes';";
  expect(codeOf(source).texts.filter((text) => OTHER_FORM.test(text))).toEqual([
    ' days',
    'within 5 s',
    'a 5-minute limit',
  ]);
});
