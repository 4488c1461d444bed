// The page of errors against the tables of the code, row by row and in their order.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { keyStateLines, kmsErrorLines, redisErrorLines, s3ErrorLines } from './error-tables.ts';

const PAGE = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');

function tableUnder(heading: string): string[] {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2);
}

test.each([
  ['KMS errors', kmsErrorLines()],
  ['Key states', keyStateLines()],
  ['S3 errors', s3ErrorLines()],
  ['Redis errors', redisErrorLines()],
])('the table of %s equals that of the code', (heading, lines) => {
  expect(lines.length).toBeGreaterThan(5);
  expect(tableUnder(heading)).toEqual(lines);
});
