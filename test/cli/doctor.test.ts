// `sealdex doctor`: its lines, its JSON, and its exit codes.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import { testServices, type TestServices } from '../support/services.ts';
import { runInProcess } from './in-process.ts';
import { jsonOf, linesOf, type Ended } from './output.ts';

let services: TestServices;

beforeAll(async () => {
  services = await testServices();
});
afterEach(() => services.s3.faults.clear());
afterAll(() => services[Symbol.asyncDispose]());

const doctor = (args: readonly string[] = [], settings = services.settings): Promise<Ended> =>
  runInProcess(['doctor', ...args], { settings });

test('doctor prints one line per check, warnings with a remedy, and exits with 0 if nothing failed', async () => {
  const { code, stdout, stderr } = await doctor(['--wide']);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^Checks for the role worker: \d+ ok, \d+ warnings?, 0 failed\.\n$/);
  const lines = linesOf(stdout);
  expect(lines).toHaveLength(23);
  expect(lines[0]).toBe('ok    settings                All settings are valid.');
  expect(lines).toContain(
    'warn  redis persistence       AOF is off: queued jobs are lost if Redis restarts. Set appendonly yes.',
  );
  expect(lines.filter((line) => !/^(ok {4}|warn {2})[a-z]/.test(line))).toEqual([]);
});

test('doctor prints FAIL and the remedy for a failed check, runs the other checks, and exits with 78', async () => {
  services.s3.faults.set({ match: { method: 'PUT', prefix: 'documents/' }, fault: S3_ERRORS.accessDenied });
  const { code, stdout, stderr } = await doctor(['--wide']);
  expect(code).toBe(78);
  expect(stderr).toContain('1 failed.');
  expect(linesOf(stdout).filter((line) => line.startsWith('FAIL'))).toEqual([
    'FAIL  bucket documents/       S3 denied put (AccessDenied). Allow worker: s3:PutObject. Full policy: sealdex policy worker',
  ]);
  expect(linesOf(stdout).at(-1)).toMatch(/^ok {4}platform key, state/);
});

test('doctor checks bucket and key without Redis', async () => {
  const settings = { ...services.settings, REDIS_URL: 'redis://127.0.0.1:1' };
  const { code, stdout } = await doctor(['--role', 'reader', '--wide'], settings);
  expect(code).toBe(78);
  expect(stdout).toContain('FAIL  redis                   Redis does not respond (REDIS_FAILED ECONNREFUSED).');
  expect(stdout).toMatch(/^ok {4}bucket documents\//m);
});

test('doctor reports every missing setting and prints no value', async () => {
  const { code, stdout } = await doctor([], { SEALDEX_PORT: 'secret' });
  expect(code).toBe(78);
  const lines = linesOf(stdout);
  expect(lines.filter((line) => line.startsWith('FAIL  settings'))).toHaveLength(4);
  expect(lines.filter((line) => line.startsWith('warn'))).toHaveLength(3);
  expect(stdout).not.toContain('secret');
});

test('--json prints one line per check and keeps the exit code', async () => {
  const { code, stdout, stderr } = await doctor(['--json', '--role', 'producer'], {
    ...services.settings,
    SEALDEX_BUCKET: 'no-such-bucket',
  });
  expect({ code, stderr }).toEqual({ code: 78, stderr: '' });
  expect(jsonOf(stdout)).toContainEqual({
    check: 'bucket',
    status: 'fail',
    observed: 'Bucket no-such-bucket does not exist (STORE_FAILED NoSuchBucket).',
    remedy: 'Create it or correct SEALDEX_BUCKET.',
  });
});

test.each([
  [['--role', 'boss'], /argument 'boss' is invalid/],
  [['everything'], /too many arguments/],
])('wrong usage exits with 64: sealdex doctor %j', async (args, sentence) => {
  const { code, stdout, stderr } = await doctor(args);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(sentence);
});
