// Tables: their widths, truncation and wrapping, and the short names of KMS keys.
import { describe, expect, test } from 'vitest';
import { createTablePrinter, factLines, hanging, keyNames, tableLines, type Column } from '../../src/cli/table.ts';
import { withHost } from '../../src/cli/host.ts';
import { recordedHost } from './in-process.ts';
import { linesOf } from './output.ts';

const column = (title: string, more: Partial<Column<Record<string, string>>> = {}) => ({
  title,
  text: (row: Record<string, string>) => row[title] ?? '',
  ...more,
});

const longest = (lines: readonly string[]): number => Math.max(...lines.map((line) => line.length));

test('columns are as wide as their widest text, and the last one is not padded', () => {
  const columns = [column('A'), column('LONG', { alignsRight: true }), column('C')];
  const rows = [
    { A: 'aaa', LONG: 'b' },
    { LONG: 'b', C: 'c\nd' },
  ];
  for (const isWide of [true, false])
    expect(tableLines(columns, rows, isWide)).toEqual(['A    LONG  C', 'aaa     b', '        b  c d']);
  expect(tableLines(columns, [], false)).toEqual([]);
});

describe('a wide table', () => {
  const columns = [
    column('NAME', { cut: 'middle' }),
    column('KEY', { only: 'wide' }),
    column('AGE', { only: 'narrow' }),
    column('TEXT', { cut: 'end' }),
  ];
  const row = {
    NAME: `first-${'n'.repeat(60)}-last`,
    KEY: 'k'.repeat(75),
    AGE: '5m',
    TEXT: `begin ${'t'.repeat(200)}`,
  };

  test('cuts the widest columns to fit 80 columns', () => {
    const lines = tableLines(columns, [row, { ...row, NAME: 'short' }], false);
    expect(longest(lines)).toBe(80);
    expect(lines[1]).toMatch(/^first-n+…n+-last {2}5m {3}begin t+…$/);
    expect(lines[2]).toMatch(/^short {2,}5m {3}begin t+…$/);
  });

  test('has every column in full in its wide form', () => {
    const [header, line = ''] = tableLines(columns, [row], true);
    expect(header).toMatch(/^NAME +KEY +TEXT$/);
    expect(line).toBe(`${row.NAME}  ${row.KEY}  ${row.TEXT}`);
  });

  test('counts a character outside the basic plane as one and does not cut it in two', () => {
    const [, line = ''] = tableLines([column('A', { cut: 'end' })], [{ A: '🙂'.repeat(100) }], false);
    expect(line).toBe(`${'🙂'.repeat(79)}…`);
  });
});

describe('a last column that wraps', () => {
  const columns = [column('JOB'), column('REASON', { wraps: true })];
  const words = Array.from({ length: 30 }, (_, at) => `word${at}`);

  test('continues below itself', () => {
    const lines = tableLines(columns, [{ JOB: 'j1', REASON: words.join(' ') }], false);
    expect(longest(lines)).toBeLessThanOrEqual(80);
    expect(lines.slice(0, 2)).toEqual(['JOB  REASON', expect.stringMatching(/^j1 {3}word0 word1 /)]);
    for (const line of lines.slice(2)) expect(line).toMatch(/^ {5}word/);
    expect(lines.slice(1).flatMap((line) => line.trim().split(/ +/))).toEqual(['j1', ...words]);
  });

  test('is below its row if the other columns leave little space', () => {
    const lines = tableLines(columns, [{ JOB: 'j'.repeat(60), REASON: words.join(' ') }, { JOB: 'j2' }], false);
    expect(lines[0]).toBe('JOB');
    expect(lines[1]).toBe('j'.repeat(60));
    expect(lines[2]).toMatch(/^ {4}word0 word1/);
    expect(longest(lines)).toBeLessThanOrEqual(80);
    expect(lines.at(-1)).toBe('j2');
  });

  test('is one line in the wide form', () => {
    expect(tableLines(columns, [{ JOB: 'j1', REASON: words.join(' ') }], true)).toHaveLength(2);
  });
});

test('a table printed in chunks has one header', () => {
  const { host, stdout } = recordedHost();
  withHost(host, () => {
    const table = createTablePrinter([column('N')], false);
    table.flush();
    for (let n = 0; n < 1001; n += 1) table.add({ N: String(n) });
    expect(linesOf(stdout.text())).toHaveLength(1001);
    table.flush();
    table.flush();
  });
  expect(linesOf(stdout.text())).toEqual(['N', ...Array.from({ length: 1001 }, (_, n) => String(n))]);
});

test('facts are aligned, and those without a value are left out', () => {
  expect(
    factLines([
      ['job', 'j1'],
      ['code', undefined],
      ['attempts', 0],
    ]),
  ).toEqual(['job       j1', 'attempts  0']);
});

test('a long text continues below itself, and a longer word has a line of its own', () => {
  const arn = `arn:aws:kms:us-west-2:111122223333:key/${'0'.repeat(36)}`;
  expect(hanging(`ok    ${'step '.repeat(8)}`, `The key has one replica. Key: ${arn}`)).toEqual([
    `ok    ${'step '.repeat(8)}The key has one replica. Key:`,
    `${' '.repeat(46)}${arn}`,
  ]);
});

describe('the short names of KMS keys', () => {
  const arnOf = (id: string, region = 'us-west-2', account = '111122223333'): string =>
    `arn:aws:kms:${region}:${account}:key/${id}`;
  const namesOf = (arns: string[]): string[] => arns.map(keyNames(arns));

  test.each<[string, string[], string[]]>([
    ['are the first characters of the key id', [arnOf('1234abcd-12ab-34cd-56ef-1234567890ab')], ['1234abcd…']],
    [
      'are long enough to distinguish the keys',
      [arnOf('1234abcd-12ab-34cd-56ef-1234567890ab'), arnOf('1234abcd-12ac-34cd-56ef-1234567890ab')],
      ['1234abcd-12ab…', '1234abcd-12ac…'],
    ],
    [
      'name the region if the replicas of a multi-Region key are in the table',
      [arnOf('mrk-1234', 'us-west-2'), arnOf('mrk-1234', 'eu-west-1')],
      ['us-west-2/mrk-1234', 'eu-west-1/mrk-1234'],
    ],
    [
      'are the ARNs if accounts have the same key id',
      [arnOf('1234'), arnOf('1234', 'us-west-2', '444455556666')],
      [arnOf('1234'), arnOf('1234', 'us-west-2', '444455556666')],
    ],
  ])('%s', (_, arns, names) => {
    expect(namesOf(arns)).toEqual(names);
    expect(namesOf([...arns, ...arns])).toEqual([...names, ...names]);
  });
});
