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

test('an installation that works: a line for each check, warnings with their remedy, and 0', async () => {
  const { code, stdout, stderr } = await doctor();
  expect(code).toBe(0);
  expect(stderr).toMatch(/^As worker: \d+ ok, \d+ to be looked at, 0 failed\.\n$/);
  const lines = linesOf(stdout);
  expect(lines).toHaveLength(23);
  expect(lines[0]).toBe('ok    settings                All are right.');
  expect(lines).toContain(
    'warn  redis persistence       No append-only file: what is queued is lost if it restarts. Set appendonly yes.',
  );
  expect(lines.filter((line) => !/^(ok {4}|warn {2})[a-z]/.test(line))).toEqual([]);
});

test('what fails is FAIL with its remedy, the rest is looked at, and 78', async () => {
  services.s3.faults.set({ match: { method: 'PUT', prefix: 'documents/' }, fault: S3_ERRORS.accessDenied });
  const { code, stdout, stderr } = await doctor();
  expect(code).toBe(78);
  expect(stderr).toContain('1 failed.');
  expect(linesOf(stdout).filter((line) => line.startsWith('FAIL'))).toEqual([
    'FAIL  bucket documents/       put is refused (AccessDenied). Allow worker s3:PutObject: sealdex policy worker prints all that it needs.',
  ]);
  expect(linesOf(stdout).at(-1)).toMatch(/^ok {4}platform key, state/);
});

test('without Redis the bucket and the key are looked at', async () => {
  const settings = { ...services.settings, REDIS_URL: 'redis://127.0.0.1:1' };
  const { code, stdout } = await doctor(['--role', 'reader'], settings);
  expect(code).toBe(78);
  expect(stdout).toContain('FAIL  redis                   It does not answer (REDIS_FAILED ECONNREFUSED).');
  expect(stdout).toMatch(/^ok {4}bucket documents\//m);
});

test('without any setting every fault is told, and no value', async () => {
  const { code, stdout } = await doctor([], { SEALDEX_PORT: 'secret' });
  expect(code).toBe(78);
  const lines = linesOf(stdout);
  expect(lines.filter((line) => line.startsWith('FAIL  settings'))).toHaveLength(4);
  expect(lines.filter((line) => line.startsWith('warn'))).toHaveLength(3);
  expect(stdout).not.toContain('secret');
});

test('--json is a line for each check, and the same exit code', async () => {
  const { code, stdout, stderr } = await doctor(['--json', '--role', 'producer'], {
    ...services.settings,
    SEALDEX_BUCKET: 'no-such-bucket',
  });
  expect({ code, stderr }).toEqual({ code: 78, stderr: '' });
  expect(jsonOf(stdout)).toContainEqual({
    check: 'bucket',
    status: 'fail',
    observed: 'There is no bucket no-such-bucket (STORE_FAILED NoSuchBucket).',
    remedy: 'Make it, or mend SEALDEX_BUCKET.',
  });
});

test.each([
  [['--role', 'boss'], /argument 'boss' is invalid/],
  [['everything'], /too many arguments/],
])('wrong use is answered with 64: sealdex doctor %j', async (args, sentence) => {
  const { code, stdout, stderr } = await doctor(args);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(sentence);
});
