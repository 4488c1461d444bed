// Destinations of the audit log: a file that other programs may rotate, or standard output; and failed writes.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createAuditLog, type AuditLog, type AuditRecord } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealdex-audit-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (to: string): AuditLog => createAuditLog({ to, clock: systemClock, identity: async () => 'unknown' });

const fail = (error: unknown): never => {
  throw error;
};

const WHO = { process: 'host/1' };
const event = (tenant: string) => ({ tenant, operation: 'PutTenant', result: 'ok' });
const tenantsIn = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { tenant: string }).tenant);

test('a file moved away is created again by the next line', () => {
  const path = join(folder, 'rotated.jsonl');
  const audit = open(path);
  audit.write(WHO, event('one'));
  renameSync(path, `${path}.1`);
  audit.write(WHO, event('two'));
  expect([tenantsIn(`${path}.1`), tenantsIn(path)]).toEqual([['one'], ['two']]);
});

test('a file without write access stops the start', () => {
  expect(() => open(join(folder, 'no such folder', 'a.jsonl'))).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('SEALDEX_AUDIT_LOG: cannot write'),
    }),
  );
});

test('a pipe, which could block the process, stops the start instead', () => {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  expect(() => open(path)).toThrow(expect.objectContaining({ message: expect.stringContaining('(no file)') }));
});

test('a file replaced by a pipe blocks nothing: its lines are counted', () => {
  const path = join(folder, 'late-pipe');
  const audit = open(path);
  execFileSync('mkfifo', [path]);
  audit.write(WHO, event('acme'));
  expect(audit.failures()).toBe(1);
});

test('a sink receives the same record as a line of the file', () => {
  const path = join(folder, 'same.jsonl');
  const records: AuditRecord[] = [];
  const clock = { ...systemClock, now: () => 0 };
  const identity = async (): Promise<string> => 'unknown';
  const change = { ...event('acme'), key: undefined, settings: { plan: 'pro' } };
  for (const to of [path, (record: AuditRecord): void => void records.push(record)])
    createAuditLog({ to, clock, identity }).write({ ...WHO, isInCommand: true }, change);
  expect(records.map((record) => JSON.stringify(record))).toEqual(readFileSync(path, 'utf8').trimEnd().split('\n'));
});

test.each([
  ['throws', (): never => fail(undefined)],
  ['rejects', async (): Promise<void> => fail(new Error('full'))],
])('a sink that %s causes no error and is counted', async (_how, to) => {
  const audit = createAuditLog({ to, clock: systemClock, identity: async () => 'unknown' });
  audit.write(WHO, event('lost'));
  await new Promise(setImmediate);
  expect(audit.failures()).toBe(1);
});

test('checking a log creates no file: the first writer owns it', () => {
  const path = join(folder, 'unmade');
  open(path);
  expect(existsSync(path)).toBe(false);
});

test('a failed write throws nothing and is counted; the next line is written as usual', () => {
  const path = join(folder, 'full.jsonl');
  const audit = open(path);
  mkdirSync(path);
  audit.write(WHO, event('lost'));
  rmdirSync(path);
  audit.write(WHO, event('kept'));
  expect(audit.failures()).toBe(1);
  expect(tenantsIn(path)).toEqual(['kept']);
});

const CHILD = `
  import { withAuditContext, withOnlyAuditContext, createAuditLog } from ${JSON.stringify(new URL('../../src/runtime/audit-log.ts', import.meta.url).href)};
  import { systemClock } from ${JSON.stringify(new URL('../../src/runtime/clock.ts', import.meta.url).href)};
  const audit = createAuditLog({
    to: process.argv[1], clock: systemClock, identity: async () => 'unknown',
  });
  for (const command of [undefined, 'status'])
    audit.write({ process: 'p', ...(command && { command }) }, { tenant: 'acme', operation: 'PutTenant', result: 'ok' });
`;
const inChild = (to: string): string[] => ['--input-type=module', '-e', CHILD, to];

test('lines of services go to stdout, and lines of commands to stderr', () => {
  const { stdout, stderr } = spawnSync(process.execPath, inChild('stdout'), { encoding: 'utf8' });
  expect(JSON.parse(stdout)).toMatchObject({ audit: 1, tenant: 'acme' });
  expect(JSON.parse(stderr)).toMatchObject({ audit: 1, command: 'status' });
});

test('a probe of a command is logged to stderr, without the command', () => {
  const probing = `${CHILD.replace("[undefined, 'status']", '[]')}
    await withAuditContext({ command: 'read', job: 'j1' }, () => withOnlyAuditContext({ activity: 'probe' }, async () =>
      audit.write(await audit.origin(), { tenant: 'acme', operation: 'Decrypt', result: 'ok' })));`;
  const args = ['--input-type=module', '-e', probing, 'stdout'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stdout).toBe('');
  const fields = ['audit', 'time', 'tenant', 'operation', 'result', 'process', 'activity'];
  expect(Object.keys(JSON.parse(stderr) as object)).toEqual(fields);
});

test('lines go to standard error on a full disk', () => {
  const { stderr, status } = spawnSync(process.execPath, inChild('/dev/full'), { encoding: 'utf8' });
  expect(status).toBe(0);
  expect(stderr).toContain('Cannot write to the audit log /dev/full (ENOSPC)');
  expect(stderr.match(/"audit":1/g)).toHaveLength(2);
});

test('a pipe with a slow reader receives all lines', () => {
  const many = CHILD.replace("[undefined, 'status']", 'Array(2000)');
  const script = `"${process.execPath}" --input-type=module -e "$0" stdout | (sleep 0.2; wc -l)`;
  expect(execFileSync('sh', ['-c', script, many], { encoding: 'utf8' }).trim()).toBe('2000');
});
