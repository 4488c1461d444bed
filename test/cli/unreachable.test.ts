// Unreachable services: one sentence that names the service, and exit code 69.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testServices, type TestServices } from '../support/services.ts';
import { runInProcess } from './in-process.ts';
import { BIN, run } from './run.ts';

let services: TestServices;

beforeAll(async () => {
  services = await testServices();
});
afterAll(() => services[Symbol.asyncDispose]());

describe.concurrent('an unreachable service', () => {
  const NOWHERE = 'http://127.0.0.1:1';
  test.each<[string, string, string[]]>([
    ['REDIS_URL', 'REDIS_FAILED', ['status']],
    ['REDIS_URL', 'REDIS_FAILED', ['index', '--tenant', 'acme', '--corpus', 'docs', BIN]],
    ['REDIS_URL', 'REDIS_FAILED', ['worker']],
    ['AWS_ENDPOINT_URL_S3', 'STORE_FAILED', ['tenants', 'list']],
    ['AWS_ENDPOINT_URL_S3', 'STORE_FAILED', ['worker']],
  ])('given by %s: %s is named in one sentence with exit code 69 by sealdex %j', async (name, code, args) => {
    const settings = {
      ...services.settings,
      SEALDEX_PORT: 0,
      [name]: NOWHERE.replace('http', name === 'REDIS_URL' ? 'redis' : 'http'),
    };
    // A worker logs to the process's own standard output.
    const ended = await (args[0] === 'worker' ? run : runInProcess)(args, { settings });
    expect(ended).toMatchObject({ code: 69, stderr: expect.stringMatching(/^sealdex: [^\n]*\n$/) });
    expect(ended.stderr).toMatch(new RegExp(` \\(${code}( [A-Za-z]\\w+)?\\)\\. [^\n]+\\.\\n$`));
    expect(ended.stderr).not.toContain('nothing');
  });
});
