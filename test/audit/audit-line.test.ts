// An audit line read back, and other lines in the same stream.
import { expect, test } from 'vitest';
import { readAuditLine } from '../../src/audit/audit-line.ts';

const LINE = {
  audit: 1,
  time: '2026-11-30T00:39:06.123Z',
  tenant: 'acme',
  operation: 'GenerateDataKey',
  key: 'arn:aws:kms:us-west-2:111122223333:key/1',
  period: '2026-11-30T00:17Z',
  purpose: 'documents',
  result: 'ok',
  requestId: 'r1',
  process: 'worker 8f3a',
  job: 'j1',
};

test('the fields of a call are parsed', () => {
  const { audit: _, time, ...rest } = LINE;
  expect(readAuditLine(JSON.stringify(LINE))).toEqual({ kind: 'call', call: { at: Date.parse(time), ...rest } });
});

test('a call with only required fields is parsed, as is one with fields of a later version', () => {
  const { period: _, purpose: __, requestId: ___, job: ____, ...least } = LINE;
  const read = readAuditLine(JSON.stringify({ ...least, operation: 'DescribeKey', more: { x: 1 } }));
  expect(read).toMatchObject({ kind: 'call', call: { operation: 'DescribeKey' } });
  expect(Object.keys((read as { call: object }).call)).not.toContain('requestId');
});

test.each(['PutTenant', 'CancelJobs'])('a change by an operator is parsed: %s', (operation) => {
  const line = { ...LINE, operation, settings: ['plan'], key: undefined };
  expect(readAuditLine(JSON.stringify(line))).toEqual({ kind: 'change', tenant: 'acme' });
});

test.each([['{"level":30,"time":1,"msg":"stored"}'], ['{}'], ['[]'], ['null'], ['7'], [''], ['  ']])(
  'a line of another kind is ignored: %s',
  (line) => {
    expect(readAuditLine(line)).toEqual({ kind: 'other' });
  },
);

test.each([
  ['torn at its end', JSON.stringify(LINE).slice(0, -9)],
  ['torn at its beginning', JSON.stringify(LINE).slice(9)],
  ['two in one', `${JSON.stringify(LINE).slice(0, 40)}${JSON.stringify(LINE)}`],
  ['another version', JSON.stringify({ ...LINE, audit: 2 })],
  ['without its key', JSON.stringify({ ...LINE, key: undefined })],
  ['without a valid time', JSON.stringify({ ...LINE, time: 'today' })],
])('a malformed line is reported as unreadable: %s', (_, line) => {
  expect(readAuditLine(line)).toEqual({ kind: 'unreadable' });
});
