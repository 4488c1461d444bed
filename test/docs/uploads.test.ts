// docs/uploads.md compared with the code: the reasons for unread files, and the supported types.
import { expect, test } from 'vitest';
import { CONTENT_TYPES } from '@sealdex/extract';
import { FILE_REASONS } from '../../src/extract/reasons.ts';
import { fileOf } from './pages.ts';

const PAGE = fileOf('docs/uploads.md');

const rowsUnder = (heading: string): string[] => {
  const section = PAGE.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2);
};

test('every reason is listed with its code and its sentence, in the order of the source', () => {
  const rows = Object.entries(FILE_REASONS).map(
    ([name, { code, message }]) => `| \`${code}\` | \`${name}\` | ${message} |`,
  );
  expect(rows.length).toBeGreaterThan(10);
  expect(rowsUnder('What is not read').slice(0, -1)).toEqual(rows);
  expect(rowsUnder('What is not read').at(-1)).toContain('`FILE_UNSUPPORTED`');
});

test('every supported type is listed', () => {
  const cells = rowsUnder('What is read').map((row) => row.split(' | ')[0]?.slice(2) ?? '');
  const types = cells.flatMap((cell) => cell.replace(' (RFC 822)', '').split(', '));
  expect(types.length).toBe(CONTENT_TYPES.length);
});
