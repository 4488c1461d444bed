// Reading settings: accepted and rejected values, and errors with all names and no values.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { loadConfig, type SettingName, type Settings } from '../../src/runtime/config.ts';
import { isKeyArn } from '../../src/runtime/key-arn.ts';
import { SETTINGS } from '../../src/runtime/settings.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/runtime/units.ts';

const ARN = 'arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const ENOUGH = { REDIS_URL: 'redis://127.0.0.1:6379', SEALDEX_BUCKET: 'documents', SEALDEX_PLATFORM_KEY_ARN: ARN };

const load = (settings: Settings, env: Record<string, string> = {}) => loadConfig({ ...ENOUGH, ...settings }, env);

function refusal(settings: Record<string, unknown>, env: Record<string, string> = {}): SealdexError {
  try {
    loadConfig(settings, env);
  } catch (error) {
    if (error instanceof SealdexError) return error;
  }
  throw new Error('The settings were taken.');
}

const faults = (settings: Record<string, unknown>, env?: Record<string, string>): string[] =>
  refusal({ ...ENOUGH, ...settings }, env)
    .message.split('\n')
    .slice(1)
    .map((line) => line.trim());

const names = Object.keys(SETTINGS) as SettingName[];

/** The contract: names and defaults; `!` is required, `-` is optional. */
const CONTRACT = `
  REDIS_URL ! SEALDEX_BUCKET ! SEALDEX_PLATFORM_KEY_ARN ! AWS_REGION us-west-2
  AWS_ENDPOINT_URL_S3 - AWS_ENDPOINT_URL_KMS - AWS_ENDPOINT_URL_STS - AWS_ACCESS_KEY_ID - AWS_SECRET_ACCESS_KEY - AWS_SESSION_TOKEN -
  SEALDEX_S3_FORCE_PATH_STYLE false SEALDEX_QUEUE main SEALDEX_CONCURRENCY 32 SEALDEX_UPLOAD_CONCURRENCY cores
  SEALDEX_IN_FLIGHT_BYTES 64MiB SEALDEX_INLINE_BYTES 4KiB SEALDEX_PORT 9464 SEALDEX_HOST - SEALDEX_LOG_LEVEL info
  SEALDEX_IDEMPOTENCY_MS 1d SEALDEX_STATUS_MS 1h SEALDEX_DRAIN_MS 15s SEALDEX_STOP_MS 25s
  SEALDEX_PARKED_MAX_MS 30d SEALDEX_PROBE_MIN_MS 30s SEALDEX_PROBE_MAX_MS 15m SEALDEX_KEY_CHECK_MS 5m
  SEALDEX_WHEN_KEY_SHUT - SEALDEX_TENANT_BACKLOG_JOBS 100000 SEALDEX_TENANT_BACKLOG_BYTES 1GiB SEALDEX_LETTER_MAX_MS 90d
  SEALDEX_INTAKE_SWEEP_MS 14d SEALDEX_FILE_BYTES 10MiB SEALDEX_EXTRACT_MS 1m
  SEALDEX_EXTRACT_HEAP_BYTES 512MiB SEALDEX_PART_CHARS 16384 SEALDEX_METADATA_BYTES 1MiB
  SEALDEX_DOCUMENT_BYTES 32MiB SEALDEX_AUDIT_LOG -
`;

function contract(): Map<string, string> {
  const words = CONTRACT.trim().split(/\s+/);
  const pairs = words.flatMap((word, at): [string, string][] => (at % 2 === 0 ? [[word, words[at + 1] ?? '']] : []));
  return new Map([...pairs, ['SEALDEX_PLATFORM_FORMER_KEY_ARNS', '']]);
}

test.each(names)('%s has the default of its contract', (name) => {
  const { byDefault } = SETTINGS[name];
  expect(byDefault === undefined ? '!' : (byDefault ?? '-')).toBe(contract().get(name));
});

test('three settings are enough, and every default passes its own check', () => {
  expect(load({})).toMatchObject({
    redisUrl: 'redis://127.0.0.1:6379',
    bucket: 'documents',
    platformKeyArn: ARN,
    platformFormerKeyArns: [],
    region: 'us-west-2',
    s3ForcePathStyle: false,
    queue: 'main',
    concurrency: 32,
    inlineBytes: 4096,
    port: 9464,
    logLevel: 'info',
    drainMs: 15_000,
    stopMs: 25_000,
  });
});

test('an absent optional setting is not a field of the config', () => {
  expect(['s3Endpoint', 'kmsEndpoint', 'credentials'].filter((name) => name in load({}))).toEqual([]);
});

test('every setting is read from the environment', () => {
  const env = {
    ...ENOUGH,
    SEALDEX_PLATFORM_FORMER_KEY_ARNS: ` ${ARN} , ${ARN}a,`,
    AWS_REGION: 'us-west-2',
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:4566',
    AWS_ENDPOINT_URL_KMS: 'https://kms.example',
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'token',
    SEALDEX_S3_FORCE_PATH_STYLE: 'true',
    SEALDEX_QUEUE: 'blue_2',
    SEALDEX_CONCURRENCY: '7',
    SEALDEX_LOG_LEVEL: 'silent',
    SEALDEX_PORT: '0',
    SEALDEX_HOST: '::1',
  };
  expect(loadConfig({}, env)).toMatchObject({
    platformFormerKeyArns: [ARN, `${ARN}a`],
    s3Endpoint: 'http://127.0.0.1:4566',
    kmsEndpoint: 'https://kms.example',
    accessKeyId: 'id',
    secretAccessKey: 'secret',
    sessionToken: 'token',
    s3ForcePathStyle: true,
    queue: 'blue_2',
    concurrency: 7,
    logLevel: 'silent',
    port: 0,
    host: '::1',
  });
});

test('settings override the environment, and can be numbers, booleans and lists', () => {
  const settings = {
    SEALDEX_CONCURRENCY: 8,
    SEALDEX_S3_FORCE_PATH_STYLE: false,
    SEALDEX_PLATFORM_FORMER_KEY_ARNS: [ARN],
    SEALDEX_QUEUE: undefined,
  };
  const env = {
    SEALDEX_CONCURRENCY: '9',
    SEALDEX_S3_FORCE_PATH_STYLE: 'true',
    SEALDEX_PLATFORM_FORMER_KEY_ARNS: '',
    SEALDEX_QUEUE: 'green',
  };
  expect(load(settings, env)).toMatchObject({
    concurrency: 8,
    s3ForcePathStyle: false,
    platformFormerKeyArns: [ARN],
    queue: 'green',
  });
});

test('durations and sizes are read with a unit, or as a plain number of milliseconds or bytes', () => {
  const withUnits = { SEALDEX_PARKED_MAX_MS: '7d', SEALDEX_DRAIN_MS: '500ms', SEALDEX_FILE_BYTES: '20MiB' };
  const plain = { SEALDEX_PARKED_MAX_MS: 604_800_000, SEALDEX_DRAIN_MS: '500', SEALDEX_FILE_BYTES: 20_971_520 };
  expect(load(withUnits)).toEqual(load(plain));
  expect(load(withUnits)).toMatchObject({ parkedMaxMs: 604_800_000, drainMs: 500, fileBytes: 20_971_520 });
});

test('the default of a duration or a size is written in its printed form', () => {
  const defaults = (type: string): string[] =>
    names.filter((name) => SETTINGS[name].type === type).map((name) => String(SETTINGS[name].byDefault));
  expect(defaults('duration').map((text) => formatDuration(parseDuration(text)))).toEqual(defaults('duration'));
  expect(defaults('size').map((text) => formatSize(parseSize(text)))).toEqual(defaults('size'));
  expect(defaults('duration').length + defaults('size').length).toBeGreaterThan(15);
});

test.each<[SettingName, string, string]>([
  ['SEALDEX_DRAIN_MS', '5 m', 'must be a whole number and a unit (ms, s, m, h or d), such as 90s or 15m'],
  ['SEALDEX_DRAIN_MS', '2h', 'must be from 0ms to 1h'],
  ['SEALDEX_PARKED_MAX_MS', '59s', 'must be from 1m to 366d'],
  ['SEALDEX_FILE_BYTES', '10MB', 'must use KiB, MiB or GiB as its unit, such as 10KiB or 64MiB'],
  ['SEALDEX_FILE_BYTES', '1GiB', 'must be from 1KiB to 256MiB'],
])('%s set to %s: %s', (name, text, problem) => {
  expect(faults({ [name]: text })).toEqual([`${name} ${problem}`]);
});

test('an empty text in the environment counts as absent', () => {
  expect(load({}, { SEALDEX_CONCURRENCY: '', AWS_ENDPOINT_URL_S3: '' })).toEqual(load({}));
  expect(refusal({}, { ...ENOUGH, SEALDEX_BUCKET: '' }).message).toContain('SEALDEX_BUCKET is required');
});

test('an empty text given by code is rejected, not replaced', () => {
  expect(faults({ SEALDEX_QUEUE: '', SEALDEX_CONCURRENCY: '' })).toHaveLength(2);
});

test('the environment of the process is the default', () => {
  expect(() => loadConfig({ ...ENOUGH, SEALDEX_QUEUE: 'main' })).not.toThrow();
});

test('all errors are in one message, one line each, with the name first', () => {
  const error = refusal(
    { SEALDEX_CONCURRENCY: 0, SEALDEX_LOG_LEVEL: 'loud', SEALDEX_STOP_MS: 1000, SPEED: 'high' },
    { SEALDEX_BUCKET: 'A', SEALDEX_PLATFORM_KEY_ARN: 'alias/platform', SEALDEX_TURBO: '1' },
  );
  expect(error.code).toBe('CONFIG_INVALID');
  const [first, ...lines] = error.message.split('\n');
  expect(first).toBe('Invalid settings:');
  expect(lines.map((line) => line.trim().split(' ')[0]).sort((a = '', b = '') => a.localeCompare(b))).toEqual([
    'REDIS_URL',
    'SEALDEX_BUCKET',
    'SEALDEX_CONCURRENCY',
    'SEALDEX_LOG_LEVEL',
    'SEALDEX_PLATFORM_KEY_ARN',
    'SEALDEX_STOP_MS',
    'SEALDEX_TURBO',
    'SPEED',
  ]);
});

test('a single error uses the singular', () => {
  expect(refusal({ ...ENOUGH, SEALDEX_PORT: 70_000 }).message).toBe(
    'Invalid setting:\n  SEALDEX_PORT must be a whole number from 0 to 65535',
  );
});

test('an unknown SEALDEX_ variable is rejected with the closest name, and other variables are ignored', () => {
  expect(faults({}, { SEALDEX_CONCURENCY: '3', PATH: '/bin', AWS_PROFILE: 'x', REDIS_HOST: 'y' })).toEqual([
    'SEALDEX_CONCURENCY is not a known setting; did you mean SEALDEX_CONCURRENCY?',
  ]);
  expect(faults({}, { SEALDEX_TURBO: '1' })).toEqual(['SEALDEX_TURBO is not a known setting']);
});

test('variables reserved for clients are ignored', () => {
  const env = { SEALDEX_API_URL: 'https://sealdex.example', SEALDEX_API_KEY: 'secret' };
  expect(load({}, env)).toEqual(load({}));
});

describe('unknown variables that only cause a warning', () => {
  /** Warnings of the process during `act`; Node emits them on the next tick. */
  async function warningsOf(act: () => void): Promise<Error[]> {
    const warnings: Error[] = [];
    const listen = (warning: Error): number => warnings.push(warning);
    process.on('warning', listen);
    act();
    await new Promise(setImmediate);
    process.off('warning', listen);
    return warnings;
  }

  const env = { SEALDEX_BUCKETS: 'a', SEALDEX_FROM_A_NEWER_VERSION: '1', SEALDEX_QUEUE: 'green' };

  test('emit one warning per process with all names, and the config is loaded', async () => {
    const warnings = await warningsOf(() => {
      for (let at = 0; at < 3; at += 1) expect(loadConfig(ENOUGH, env, 'warn').queue).toBe('green');
    });
    expect(warnings).toMatchObject([{ name: 'SealdexWarning', code: 'SEALDEX_UNKNOWN_SETTING' }]);
    expect(warnings[0]?.message.split('\n').slice(1)).toEqual([
      '  SEALDEX_BUCKETS is not a known setting; did you mean SEALDEX_BUCKET?',
      '  SEALDEX_FROM_A_NEWER_VERSION is not a known setting',
    ]);
  });

  test('emit another warning for other names', async () => {
    const warnings = await warningsOf(() => loadConfig(ENOUGH, { SEALDEX_ANOTHER_NAME: '1' }, 'warn'));
    expect(warnings).toHaveLength(1);
  });

  test('do not excuse an unknown name given by code, or an invalid value', () => {
    expect(() => loadConfig({ ...ENOUGH, SEALDEX_TURBO: 1 } as Settings, {}, 'warn')).toThrow('SEALDEX_TURBO is not');
    expect(() => loadConfig(ENOUGH, { SEALDEX_PORT: 'x' }, 'warn')).toThrow('SEALDEX_PORT must be');
  });
});

test.each(['__proto__', 'constructor', 'toString', 'redisUrl'])('%s given by code is an unknown setting', (name) => {
  expect(faults(JSON.parse(`{"${name}":"1"}`) as Record<string, unknown>)).toEqual([`${name} is not a known setting`]);
});

describe('an invalid value is rejected:', () => {
  test.each<[SettingName, readonly (string | number)[]]>([
    [
      'REDIS_URL',
      [
        '127.0.0.1:6379',
        'http://127.0.0.1',
        'redis',
        ' ',
        'redis://h/abc',
        'redis://h/1x',
        'redis://h/1/2',
        'redis://h?db=1',
        'redis://h/0#1',
      ],
    ],
    ['SEALDEX_BUCKET', ['Documents', 'a', 'b_c', '-documents', 'a/b', 'x'.repeat(64)]],
    [
      'SEALDEX_PLATFORM_KEY_ARN',
      ['alias/platform', ARN.replace(':key/', ':alias/'), ARN.slice(-36), ` ${ARN}`, `${ARN}\n`],
    ],
    ['SEALDEX_PLATFORM_FORMER_KEY_ARNS', [`${ARN},alias/old`, `${ARN};${ARN}`]],
    ['AWS_REGION', [' ']],
    ['AWS_ENDPOINT_URL_S3', ['127.0.0.1:4566', 'ftp://s3', 's3.example']],
    ['SEALDEX_S3_FORCE_PATH_STYLE', ['yes', '1', 'TRUE']],
    ['SEALDEX_QUEUE', ['a b', 'a:b', '{a}', 'x'.repeat(51)]],
    ['SEALDEX_CONCURRENCY', [0, -1, 1.5, 1001, '1e2', '0x10', 'many', '٣', Number.NaN, Number.POSITIVE_INFINITY]],
    ['SEALDEX_LOG_LEVEL', ['INFO', 'verbose']],
    ['SEALDEX_INLINE_BYTES', [-1, 2_097_152]],
    ['SEALDEX_PORT', [-1, 65_536]],
    ['SEALDEX_HOST', ['localhost', '127.0.0.1:9464', '256.0.0.1', '[::1]', ' ']],
  ])('%s: %j', (name, values) => {
    for (const value of values) {
      const [fault, ...more] = faults({ [name]: value });
      expect(fault).toMatch(new RegExp(`^${name} must be \\S`));
      expect(more).toEqual([]);
    }
  });
});

describe('a contradiction between settings is rejected:', () => {
  test.each<[Settings, string]>([
    [{ SEALDEX_DRAIN_MS: 25_000 }, 'SEALDEX_STOP_MS must be greater than SEALDEX_DRAIN_MS'],
    [{ SEALDEX_STOP_MS: 15_000 }, 'SEALDEX_STOP_MS must be greater than SEALDEX_DRAIN_MS'],
    [{ AWS_ACCESS_KEY_ID: 'id' }, 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together'],
    [{ AWS_SECRET_ACCESS_KEY: 'x' }, 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together'],
    [
      { SEALDEX_METADATA_BYTES: 2048, SEALDEX_DOCUMENT_BYTES: 1024 },
      'SEALDEX_METADATA_BYTES must not exceed SEALDEX_DOCUMENT_BYTES',
    ],
  ])('%j', (settings, fault) => {
    const [first, ...more] = faults(settings);
    expect(first).toContain(fault);
    expect(more).toEqual([]);
  });
});

test.each(names)('an invalid value of %s is not quoted', (name) => {
  const planted = 'hunter2 \n://';
  const error = refusal({ ...ENOUGH, SEALDEX_PORT: -1, [name]: planted });
  expect(inspect(error, { depth: Number.POSITIVE_INFINITY })).not.toContain('hunter2');
});

test('the password in an invalid REDIS_URL, and the value of an unknown name, are not quoted', () => {
  const error = refusal({ ...ENOUGH, REDIS_URL: 'rediss//:hunter2@redis:6379' }, { SEALDEX_SECRET: 'hunter2' });
  expect(inspect(error, { depth: Number.POSITIVE_INFINITY })).not.toContain('hunter2');
});

test('the config and its lists are frozen', () => {
  const config = load({ SEALDEX_PLATFORM_FORMER_KEY_ARNS: [ARN] });
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.platformFormerKeyArns)).toBe(true);
});

test('every setting has a type and a description', () => {
  for (const name of names) {
    expect(SETTINGS[name].type).toMatch(/\S/);
    expect(SETTINGS[name].description).toMatch(/^\S.*[^\s.]$/);
  }
});

test.each([
  [ARN, true],
  ['arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab', true],
  ['arn:aws:kms:us-west-2:111122223333:alias/platform', false],
  ['1234abcd-12ab-34cd-56ef-1234567890ab', false],
  ['arn:aws:kms:us-west-2:1111:key/1234abcd', false],
  ['arn:aws:s3:us-west-2:111122223333:key/1234abcd', false],
  ['arn:aws:kms:us-west-2:111122223333:key/', false],
])('%s is the full ARN of a KMS key: %s', (arn, is) => {
  expect(isKeyArn(arn)).toBe(is);
});
