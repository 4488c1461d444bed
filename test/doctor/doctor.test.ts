// The checks of an installation: each in its good and its bad form, with no test object left behind.
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { examineInstallation, type DoctorOptions } from '../../src/app/app.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { KMS_ERRORS, S3_ERRORS, type S3Match } from '@sealdex/local-aws';
import type { Finding } from '../../src/doctor/doctor.ts';
import { examine, passed } from '../../src/doctor/finding.ts';
import { clockOf, evictionOf, memoryOf, persistenceOf, versionOf } from '../../src/doctor/redis.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { FakeClock } from '../support/clock.ts';
import { testServices, type TestServices } from '../support/services.ts';

let services: TestServices;
let bucket: string;

beforeAll(async () => {
  services = await testServices();
  bucket = String(services.settings.SEALDEX_BUCKET);
});
afterEach(() => {
  services.s3.faults.clear();
  services.kms.faults.clear();
  services.s3.setBucket(bucket, {});
});
afterAll(() => services[Symbol.asyncDispose]());

async function findings(settings: Settings = {}, options: DoctorOptions = {}): Promise<Finding[]> {
  return Array.fromAsync(examineInstallation({ ...services.settings, ...settings }, options));
}

const badOf = (found: readonly Finding[]): string[] =>
  found.filter(({ status }) => status !== 'ok').map(({ check, status }) => `${status} ${check}`);

const of = (found: readonly Finding[], check: string): Finding | undefined =>
  found.find((each) => each.check === check);

/** The run's Redis is not persistent, and has no limit. */
const OF_THE_RUN = new Set(['warn redis persistence', 'warn redis memory']);

const besides = (found: readonly Finding[]): string[] => badOf(found).filter((each) => !OF_THE_RUN.has(each));

async function keysLeft(): Promise<string[]> {
  const store = createStore(loadConfig(services.settings, {}), 'patient');
  const redis = new Redis(services.redisUrl);
  try {
    const { objects } = await store.list('');
    return [...objects.map(({ key }) => key), ...(await redis.keys(`*{${String(services.settings.SEALDEX_QUEUE)}}*`))];
  } finally {
    redis.disconnect();
    store.close();
  }
}

describe('a correct installation', () => {
  const REDIS = ['redis', 'redis version', 'redis eviction', 'redis persistence', 'redis memory', 'redis clock'];
  const START = ['settings', 'audit log', ...REDIS, 'redis writing', 'bucket', 'bucket tenants/'];
  const SET = ['bucket versions', 'bucket lifecycle', 'bucket encryption'];
  const WRITES = ['bucket system/', 'conditional writes', 'conditional delete'];
  const KEYS = ['platform key, documents', 'platform key, intake', 'platform key, state'];
  const DOCUMENTS = ['bucket documents/', 'bucket originals/'];

  test.each([
    ['worker', [...START, ...DOCUMENTS, 'bucket intake/', ...WRITES, ...SET, ...KEYS]],
    ['producer', [...START, 'bucket intake/', 'bucket system/', ...SET, ...KEYS]],
    ['reader', [...START, ...DOCUMENTS, ...SET, ...KEYS]],
  ] as const)('passes for a %s, and no test object is left', async (role, checks) => {
    const found = await findings({}, { role });
    expect(besides(found)).toEqual([]);
    expect(found.map(({ check }) => check)).toEqual(checks);
    expect(await keysLeft()).toEqual([]);
  });

  test('fails with a read-only audit log before anything is started', async () => {
    const found = await findings({ SEALDEX_AUDIT_LOG: '/no such folder/audit.jsonl' });
    expect(besides(found)).toEqual(['fail audit log']);
    expect(of(found, 'audit log')?.observed).toContain(
      'SEALDEX_AUDIT_LOG: cannot write /no such folder/audit.jsonl (ENOENT)',
    );
  });

  test('receives writes outside of the canary folder only from a producer', async () => {
    await using own = await testServices();
    const store = createStore(loadConfig(own.settings, {}), 'patient');
    try {
      own.s3.keepVersions(String(own.settings.SEALDEX_BUCKET));
      const written = async (role: DoctorOptions['role']): Promise<string[]> => {
        await Array.fromAsync(examineInstallation(own.settings, { ...(role && { role }) }));
        const keys = (await store.listVersions('')).versions.map(({ key }) => key);
        return [...new Set(keys.filter((key) => !key.includes('/canary/')).map((key) => key.split('/')[0] ?? ''))];
      };
      expect([await written('worker'), await written('reader'), await written('producer')]).toEqual([
        [],
        [],
        ['intake'],
      ]);
    } finally {
      store.close();
    }
  });
});

describe('settings', () => {
  test('are all reported if invalid, and independent checks still run', async () => {
    const found = await findings({ SEALDEX_PORT: 'x', SEALDEX_BUCKET: undefined, SEALDEX_CONCURRENCY: 0 });
    const faults = found.filter(({ check }) => check === 'settings');
    expect(faults.map(({ status, observed }) => `${status} ${observed.split(' ')[0]}`).toSorted()).toEqual([
      'fail SEALDEX_BUCKET',
      'fail SEALDEX_CONCURRENCY',
      'fail SEALDEX_PORT',
    ]);
    expect(of(found, 'bucket')).toMatchObject({
      status: 'warn',
      observed: 'Skipped because its settings are invalid.',
    });
    expect(of(found, 'redis version')?.status).toBe('ok');
    expect(of(found, 'platform key, intake')?.status).toBe('ok');
  });

  test('for concurrency do not affect other checks', async () => {
    const found = await findings({ SEALDEX_CONCURRENCY: 0, SEALDEX_UPLOAD_CONCURRENCY: 0 });
    expect(besides(found)).toEqual(['fail settings', 'fail settings']);
    expect(of(found, 'bucket documents/')?.status).toBe('ok');
  });

  test('without Redis and key leave the bucket to be checked', async () => {
    const found = await findings({ REDIS_URL: 'http://x', SEALDEX_PLATFORM_KEY_ARN: 'alias/x' });
    expect(besides(found)).toEqual(['fail settings', 'fail settings', 'warn redis', 'warn platform key']);
    expect(of(found, 'bucket documents/')?.status).toBe('ok');
  });
});

describe('Redis', () => {
  test('down is one failure, and the rest is checked', async () => {
    const found = await findings({ REDIS_URL: 'redis://127.0.0.1:1' });
    expect(badOf(found)).toEqual(['fail redis']);
    expect(of(found, 'redis')).toMatchObject({
      observed: 'Redis does not respond (REDIS_FAILED ECONNREFUSED).',
      remedy: 'Check that Redis is running and that REDIS_URL is correct.',
    });
    expect(of(found, 'bucket documents/')?.status).toBe('ok');
  });

  test.each([
    [
      'a rejected password',
      (url: URL) => ([url.username, url.password] = ['unknown', 'wrong']),
      'Redis rejected the user name or the password (REDIS_FAILED WRONGPASS).',
      'Correct them in REDIS_URL.',
    ],
    [
      'a rejected database',
      (url: URL) => (url.pathname = '/99'),
      'REDIS_URL: Redis rejected database 99: ERR DB index is out of range (CONFIG_INVALID ERR).',
      'Use a database that the server has; a Redis Cluster has only 0.',
    ],
  ])('with %s fails with the reply of Redis and its remedy', async (_, change, observed, remedy) => {
    const url = new URL(services.redisUrl);
    change(url);
    const found = await findings({ REDIS_URL: url.href });
    expect(badOf(found)).toEqual(['fail redis']);
    expect(of(found, 'redis')).toMatchObject({ observed, remedy });
  });

  test('without a response fails in time', async () => {
    using _real = realDeadlines();
    const server = createServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const found = await findings({ REDIS_URL: `redis://127.0.0.1:${port}` });
    expect(badOf(found)).toEqual(['fail redis']);
    server.close();
  });

  test('with a user without write permission fails only the write check', async () => {
    const redis = new Redis(services.redisUrl);
    const user = `u${randomBytes(4).toString('hex')}`;
    await redis.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all', '-@write');
    try {
      const url = new URL(services.redisUrl);
      url.username = user;
      url.password = 'secret';
      const found = await findings({ REDIS_URL: url.href });
      expect(besides(found)).toEqual(['fail redis writing']);
    } finally {
      await redis.call('ACL', 'DELUSER', user);
      redis.disconnect();
    }
  });

  const status = ({ status, remedy }: { status: string; remedy?: string }): string =>
    `${status}${remedy === undefined ? '' : ' with a remedy'}`;

  test.each<[string, { status: string; remedy?: string }, string]>([
    ['version 7', versionOf('redis_version:7.0.15\r\n'), 'ok'],
    ['version 6.2', versionOf('redis_version:6.2.0\r\n'), 'ok'],
    ['version 6.0', versionOf('redis_version:6.0.16\r\n'), 'fail with a remedy'],
    ['Valkey', versionOf('redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n'), 'ok'],
    ['noeviction', evictionOf('maxmemory_policy:noeviction\r\n'), 'ok'],
    ['allkeys-lru', evictionOf('maxmemory_policy:allkeys-lru\r\n'), 'fail with a remedy'],
    ['an unknown eviction policy', evictionOf(''), 'warn with a remedy'],
    ['an append-only file', persistenceOf('aof_enabled:1\r\naof_last_write_status:ok\r\n'), 'ok'],
    ['none', persistenceOf('aof_enabled:0\r\n'), 'warn with a remedy'],
    [
      'one that cannot be written',
      persistenceOf('aof_enabled:1\r\naof_last_write_status:err\r\n'),
      'fail with a remedy',
    ],
    ['a Redis that loads', persistenceOf('loading:1\r\naof_enabled:1\r\n'), 'warn with a remedy'],
    ['sufficient memory', memoryOf('used_memory:100\r\nmaxmemory:1000\r\n'), 'ok'],
    ['memory almost used up', memoryOf('used_memory:800\r\nmaxmemory:1000\r\n'), 'warn with a remedy'],
    ['full memory', memoryOf('used_memory:1000\r\nmaxmemory:1000\r\n'), 'fail with a remedy'],
    ['memory without a limit', memoryOf('used_memory:100\r\nmaxmemory:0\r\n'), 'warn with a remedy'],
    ['clocks that agree', clockOf(1_000_000, 1_000_900), 'ok'],
    ['clocks that drift', clockOf(1_000_000, 1_006_000), 'warn with a remedy'],
    ['clocks far apart', clockOf(1_000_000, 1_061_000), 'fail with a remedy'],
  ])('%s', (_, found, expected) => {
    expect(status(found)).toBe(expected);
  });

  test('with a clock an hour off is reported from its own time', async () => {
    const clock = new FakeClock();
    expect(of(await findings({}, { clock }), 'redis clock')).toMatchObject({
      status: 'fail',
      remedy: 'Synchronize both clocks with NTP.',
    });
  });
});

describe('the bucket', () => {
  const denied = (match: S3Match): void => void services.s3.faults.set({ match, fault: S3_ERRORS.accessDenied });

  test.each<[string, S3Match, 'worker' | 'producer' | 'reader', string, string, string]>([
    ['listing', { kind: 'list', prefix: 'documents/' }, 'reader', 'documents/', 'list', 's3:ListBucket'],
    [
      'getting and heading',
      { method: 'GET', kind: 'object', prefix: 'originals/' },
      'reader',
      'originals/',
      'get',
      's3:GetObject',
    ],
    ['heading', { method: 'HEAD', prefix: 'documents/' }, 'worker', 'documents/', 'head', 's3:GetObject'],
    ['putting', { method: 'PUT', prefix: 'documents/' }, 'worker', 'documents/', 'put', 's3:PutObject'],
    ['deleting', { method: 'DELETE', prefix: 'intake/' }, 'worker', 'intake/', 'delete', 's3:DeleteObject'],
    ['putting content', { method: 'PUT', prefix: 'intake/' }, 'producer', 'intake/', 'put', 's3:PutObject'],
    [
      'everything',
      { prefix: 'originals/' },
      'worker',
      'originals/',
      'list, get, head, put, delete',
      's3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject',
    ],
  ])('fails with the permission to add if %s is denied', async (_, match, role, prefix, words, actions) => {
    denied(match);
    const found = await findings({}, { role });
    expect(besides(found)).toEqual([`fail bucket ${prefix}`]);
    expect(of(found, `bucket ${prefix}`)).toMatchObject({
      observed: `S3 denied ${words} (AccessDenied).`,
      remedy: `Allow ${role}: ${actions}. Full policy: sealdex policy ${role}`,
    });
  });

  test('fails for a producer with the permission to add if deleting content is denied', async () => {
    const fault = services.s3.faults.set({
      match: { method: 'DELETE', prefix: 'intake/' },
      fault: S3_ERRORS.accessDenied,
    });
    expect(of(await findings({}, { role: 'producer' }), 'bucket intake/')?.observed).toBe(
      'S3 denied delete (AccessDenied).',
    );
    fault.clear();
    const store = createStore(loadConfig(services.settings, {}), 'patient');
    for (const { key } of (await store.list('intake/')).objects) await store.remove(key);
    store.close();
  });

  test('fails the checks under system/ if writing there is denied, with the permission to add', async () => {
    denied({ method: 'PUT', prefix: 'system/' });
    const found = await findings();
    expect(besides(found)).toEqual(['fail bucket system/', 'fail conditional writes', 'fail conditional delete']);
    expect(of(found, 'bucket system/')?.remedy).toMatch(
      /^Allow worker: s3:PutObject, s3:GetObject, s3:DeleteObject on system\//,
    );
  });

  test('fails in a store that ignores conditions, and test objects are removed', async () => {
    services.s3.faults.set({ fault: { kind: 'ignoreConditions' } });
    const found = await findings();
    expect(besides(found)).toEqual(['fail conditional writes', 'warn conditional delete']);
    expect(await keysLeft()).toEqual([]);
  });

  test('reports exactly one failure if it does not exist', async () => {
    const found = await findings({ SEALDEX_BUCKET: 'no-such-bucket' });
    expect(besides(found)).toEqual(['fail bucket']);
    expect(of(found, 'bucket')).toMatchObject({
      observed: 'Bucket no-such-bucket does not exist (STORE_FAILED NoSuchBucket).',
      remedy: 'Create it or correct SEALDEX_BUCKET.',
    });
  });

  test.each([
    ['expired credentials', S3_ERRORS.expiredToken, /^S3 rejected the credentials/, /^Renew/],
    [
      'another region',
      { kind: 'error', status: 301, code: 'PermanentRedirect' },
      /^The bucket is in another region/,
      /AWS_REGION/,
    ],
    ['an outage', S3_ERRORS.internal, /^S3 returned an error or timed out/, /AWS_ENDPOINT_URL_S3/],
  ] as const)('reports one failure with its remedy for %s', async (_, fault, observed, remedy) => {
    services.s3.faults.set({ fault });
    const found = await findings();
    expect(besides(found)).toEqual(['fail bucket']);
    expect(of(found, 'bucket')?.observed).toMatch(observed);
    expect(of(found, 'bucket')?.remedy).toMatch(remedy);
  });

  test('fails in time without a response, and key and Redis are still checked', async () => {
    services.s3.faults.set({ fault: { kind: 'hang' } });
    const found = await findings({}, { checkMs: 500 });
    expect(besides(found)).toEqual(['fail bucket']);
    expect(of(found, 'bucket')?.observed).toBe('No response within 500ms.');
  });
});

describe('the bucket settings', () => {
  test('are checked as set in the bucket', async () => {
    services.s3.setBucket(bucket, { versioning: 'Enabled', encryption: 'aws:kms' });
    expect(besides(await findings())).toEqual(['warn bucket versions', 'warn bucket encryption']);
  });

  test('cause warnings if they cannot be read, never failures', async () => {
    services.s3.faults.set({ match: { kind: 'setting' }, fault: S3_ERRORS.accessDenied });
    expect(besides(await findings())).toEqual(['warn bucket versions', 'warn bucket lifecycle']);
  });
});

describe('the platform key', () => {
  const arn = (): string => String(services.settings.SEALDEX_PLATFORM_KEY_ARN);

  test.each(['GenerateDataKey', 'Decrypt'])('fails with the permission to add if %s is denied', async (operation) => {
    services.kms.faults.set({ match: { operation }, fault: KMS_ERRORS.accessDeniedByUs });
    const found = await findings();
    expect(besides(found)).toEqual(['fail platform key, documents', 'fail platform key, intake']);
    expect(of(found, 'platform key, intake')).toMatchObject({
      observed: `KMS rejected ${operation} (PLATFORM_KEY AccessDeniedException).`,
      remedy: `Allow worker: kms:${operation} on ${arn()}, in its key policy and in IAM. Full policy: sealdex policy worker`,
    });
  });

  test('fails for one purpose if that one is denied', async () => {
    const match = { operation: 'Decrypt', context: { purpose: 'intake' } };
    services.kms.faults.set({ match, fault: KMS_ERRORS.accessDenied });
    expect(besides(await findings())).toEqual(['fail platform key, intake']);
  });

  test('fails if its state cannot be read', async () => {
    services.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: KMS_ERRORS.accessDeniedByUs });
    const found = await findings({}, { role: 'reader' });
    expect(besides(found)).toEqual(['fail platform key, state']);
    expect(of(found, 'platform key, state')?.remedy).toContain('Allow reader: kms:DescribeKey');
  });

  test('refers to its state if it is disabled', async () => {
    services.kms.disable(arn());
    const found = of(await findings(), 'platform key, documents');
    services.kms.enable(arn());
    expect(found).toMatchObject({
      status: 'fail',
      observed: 'KMS rejected GenerateDataKey (PLATFORM_KEY DisabledException).',
    });
    expect(found?.remedy).toContain(arn());
  });

  test.each([
    [KMS_ERRORS.expiredCredentials, /PLATFORM_CREDENTIALS/, /^Renew the credentials/],
    [KMS_ERRORS.throttled, /^KMS returned an error or timed out \(KMS_THROTTLED/, /AWS_ENDPOINT_URL_KMS/],
  ])('has a separate remedy for %j', async (fault, observed, remedy) => {
    services.kms.faults.set({ fault });
    const found = of(await findings({}, { role: 'reader' }), 'platform key, documents');
    expect(found?.observed).toMatch(observed);
    expect(found?.remedy).toMatch(remedy);
  });

  test('passes with former keys, or reports them as disabled or unreadable', async () => {
    const [good, disabled, unseen] = [1, 2, 3].map(() => services.kms.createKey());
    services.kms.disable(disabled!);
    services.kms.faults.set({ match: { key: unseen!, operation: 'DescribeKey' }, fault: KMS_ERRORS.accessDenied });
    const found = await findings({ SEALDEX_PLATFORM_FORMER_KEY_ARNS: [good!, disabled!, unseen!] });
    expect(besides(found)).toEqual(['fail former key 2', 'warn former key 3']);
    expect(of(found, 'former key 1')?.status).toBe('ok');
  });
});

describe('a check', () => {
  test('ends at its deadline, and a later result is ignored', async () => {
    const clock = new FakeClock();
    const { promise, reject } = Promise.withResolvers<never>();
    let aborted = false;
    const run = (signal: AbortSignal) => {
      signal.addEventListener('abort', () => (aborted = true));
      return promise;
    };
    const found = examine(clock, { check: 'slow', run });
    clock.advance(10_000);
    expect(await found).toMatchObject({ check: 'slow', status: 'fail', observed: 'No response within 10s.' });
    expect(aborted).toBe(true);
    reject(new Error('late'));
  });

  test('with an unexpected error is a failure without its text', async () => {
    const run = () => Promise.reject(new Error('secret'));
    const found = await examine(new FakeClock(), { check: 'odd', run });
    expect(JSON.stringify(found)).not.toContain('secret');
    expect(found.status).toBe('fail');
    expect(await examine(new FakeClock(), { check: 'fine', run: async () => passed('Good.') })).toEqual({
      check: 'fine',
      status: 'ok',
      observed: 'Good.',
    });
  });
});
