// The one reader of settings: a table of name, default, unit, check and meaning, and the frozen Config made from it.
// Nobody else reads the environment. A wrong setting is refused with all faults listed, never replaced.
import { SealdexError } from './errors.ts';

/** Settings by their environment names; what is given here goes over the environment. */
export type Settings = { readonly [name in SettingName]?: string | number | boolean | readonly string[] | undefined };

interface Setting<T> {
  /** undefined: the setting must be given. `null`: it may be absent. */
  readonly byDefault: string | undefined | null;
  readonly unit: string;
  readonly means: string;
  /** Turns the text into the value; throws an Error whose message says what the value must be. */
  readonly read: (text: string) => T;
}

const must = (condition: boolean, what: string): void => {
  if (!condition) throw new Error(`must be ${what}`);
};

const text = (text: string): string => (must(text.trim() !== '', 'a text that is not empty'), text);

const int =
  (low: number, high: number) =>
  (text: string): number => {
    const value = Number(text);
    must(/^\d+$/.test(text.trim()) && value >= low && value <= high, `a whole number from ${low} to ${high}`);
    return value;
  };

const oneOf =
  <const T extends string>(...words: T[]) =>
  (text: string): T => {
    must((words as string[]).includes(text), `one of ${words.join(', ')}`);
    return text as T;
  };

const flag = (text: string): boolean => oneOf('true', 'false')(text) === 'true';

const url =
  (...protocols: string[]) =>
  (text: string): string => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    must(
      parsed !== undefined && protocols.includes(parsed.protocol),
      `a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    );
    return text;
  };

const KEY_ARN = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/;

/** Whether the text is the full ARN of a KMS key (no alias, no bare id). */
export const isKeyArn = (text: string): boolean => KEY_ARN.test(text);

const keyArn = (text: string): string => (
  must(isKeyArn(text), 'the full ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)'),
  text
);

const keyArns = (text: string): readonly string[] =>
  Object.freeze(
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
      .map(keyArn),
  );

const bucketName = (text: string): string => (
  must(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text), 'the name of an S3 bucket'),
  text
);

const queueName = (text: string): string => (
  must(/^[a-zA-Z0-9_-]{1,50}$/.test(text), '1 to 50 letters, digits, _ or -'),
  text
);

const HOUR = 3_600_000;
const MIB = 1_048_576;
const ms = (low: number, high: number) => int(low, high);

const setting = <T>(
  byDefault: string | undefined | null,
  unit: string,
  means: string,
  read: (text: string) => T,
): Setting<T> => ({ byDefault, unit, means, read });

/** The settings table of the design, section 14. The README's table is compared with it by a test. */
export const SETTINGS = Object.freeze({
  REDIS_URL: setting(undefined, 'URL', 'the Redis (>= 6.2) or Valkey that holds the queues', url('redis:', 'rediss:')),
  SEALDEX_BUCKET: setting(undefined, 'name', 'the S3 bucket', bucketName),
  SEALDEX_PLATFORM_KEY_ARN: setting(undefined, 'ARN', 'our own KMS key, for tenants without one', keyArn),
  SEALDEX_PLATFORM_FORMER_KEY_ARNS: setting('', 'ARNs, comma', 'platform keys of the past, kept for reading', keyArns),
  AWS_REGION: setting('us-west-2', 'region', 'region of the bucket and of the KMS keys', text),
  AWS_ENDPOINT_URL_S3: setting(null, 'URL', 'another S3 endpoint than AWS', url('http:', 'https:')),
  AWS_ENDPOINT_URL_KMS: setting(null, 'URL', 'another KMS endpoint than AWS', url('http:', 'https:')),
  AWS_ACCESS_KEY_ID: setting(null, 'id', "credentials; without them the SDK's own chain is asked", text),
  AWS_SECRET_ACCESS_KEY: setting(null, 'secret', 'goes with AWS_ACCESS_KEY_ID', text),
  AWS_SESSION_TOKEN: setting(null, 'secret', 'goes with temporary credentials', text),
  SEALDEX_S3_FORCE_PATH_STYLE: setting('false', 'true, false', 'put the bucket into the path (emulators, MinIO)', flag),
  SEALDEX_QUEUE: setting(
    'main',
    'name',
    'name of this installation in Redis; a tenant belongs to exactly one',
    queueName,
  ),
  SEALDEX_CONCURRENCY: setting('32', 'jobs', 'index jobs at once in a process', int(1, 1000)),
  SEALDEX_IN_FLIGHT_BYTES: setting(
    String(64 * MIB),
    'bytes',
    'content that a process works on at once',
    int(MIB, 64 * 1024 * MIB),
  ),
  SEALDEX_INLINE_BYTES: setting(
    '4096',
    'bytes',
    'content up to this size travels in Redis, larger in S3; 0: all in S3',
    int(0, MIB),
  ),
  SEALDEX_PORT: setting('9464', 'port', '/livez, /readyz and /metrics of the worker; 0: any free one', int(0, 65_535)),
  SEALDEX_LOG_LEVEL: setting(
    'info',
    'level',
    'fatal, error, warn, info, debug, trace or silent',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
  ),
  SEALDEX_IDEMPOTENCY_MS: setting(
    String(24 * HOUR),
    'ms',
    'how long an idempotency key is remembered',
    ms(60_000, 30 * 24 * HOUR),
  ),
  SEALDEX_STATUS_MS: setting(String(HOUR), 'ms', 'how long a finished job can be asked for', ms(1000, 30 * 24 * HOUR)),
  SEALDEX_DRAIN_MS: setting(
    '15000',
    'ms',
    'at SIGTERM: how long jobs may finish before they are handed back',
    ms(0, HOUR),
  ),
  SEALDEX_STOP_MS: setting(
    '25000',
    'ms',
    'at SIGTERM: when the process ends in any case; above SEALDEX_DRAIN_MS',
    ms(100, HOUR),
  ),
  SEALDEX_PART_CHARS: setting('16384', 'UTF-16 units', 'longest text of one part', int(100, 1_000_000)),
  SEALDEX_METADATA_BYTES: setting(
    String(MIB),
    'bytes',
    "all metadata of one document, its parts' included",
    int(1024, 64 * MIB),
  ),
  SEALDEX_DOCUMENT_BYTES: setting(String(32 * MIB), 'bytes', 'one document as JSON', int(1024, 256 * MIB)),
});

export type SettingName = keyof typeof SETTINGS;

type Value<N extends SettingName> = (typeof SETTINGS)[N] extends Setting<infer T> ? T : never;

/** What the rest of the house sees: checked values under short names, frozen. */
export interface Config {
  readonly redisUrl: string;
  readonly bucket: string;
  readonly platformKeyArn: string;
  readonly platformFormerKeyArns: readonly string[];
  readonly region: string;
  readonly s3Endpoint?: string;
  readonly kmsEndpoint?: string;
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  readonly s3ForcePathStyle: boolean;
  readonly queue: string;
  readonly concurrency: number;
  readonly inFlightBytes: number;
  readonly inlineBytes: number;
  readonly port: number;
  readonly logLevel: Value<'SEALDEX_LOG_LEVEL'>;
  readonly idempotencyMs: number;
  readonly statusMs: number;
  readonly drainMs: number;
  readonly stopMs: number;
  readonly partChars: number;
  readonly metadataBytes: number;
  readonly documentBytes: number;
}

type Values = { [name in SettingName]?: Value<name> };

/**
 * Reads settings, those given over those of the environment.
 * @throws SealdexError `CONFIG_INVALID` whose message lists every fault, a line each.
 */
export function loadConfig(
  settings: Settings = {},
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(settings)) {
    if (!Object.hasOwn(SETTINGS, name)) faults.push(`${name} is no setting`);
  }
  for (const name of Object.keys(env)) {
    if (name.startsWith('SEALDEX_') && !Object.hasOwn(SETTINGS, name)) faults.push(`${name} is no setting`);
  }
  for (const [name, row] of Object.entries(SETTINGS)) {
    const given = asText(settings[name as SettingName]) ?? (env[name] === '' ? undefined : env[name]) ?? row.byDefault;
    if (given === undefined) faults.push(`${name} must be given: ${row.means}`);
    if (given === undefined || given === null) continue;
    try {
      values[name] = row.read(given);
    } catch (error) {
      faults.push(`${name} ${(error as Error).message}`);
    }
  }
  const read = values as Values;
  faults.push(...faultsBetween(read));
  if (faults.length > 0) {
    throw new SealdexError(
      'CONFIG_INVALID',
      `${faults.length === 1 ? 'A setting is' : 'Settings are'} wrong:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
  }
  return freeze(read as Required<Values>);
}

const asText = (value: Settings[SettingName]): string | undefined =>
  value === undefined ? undefined : Array.isArray(value) ? value.join(',') : String(value);

/** Faults that no setting has alone. */
function faultsBetween(read: Values): string[] {
  const faults: string[] = [];
  if (
    read.SEALDEX_STOP_MS !== undefined &&
    read.SEALDEX_DRAIN_MS !== undefined &&
    read.SEALDEX_STOP_MS <= read.SEALDEX_DRAIN_MS
  ) {
    faults.push('SEALDEX_STOP_MS must be more than SEALDEX_DRAIN_MS, so that jobs can be handed back in between');
  }
  if ((read.AWS_ACCESS_KEY_ID === undefined) !== (read.AWS_SECRET_ACCESS_KEY === undefined)) {
    faults.push('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be given together');
  }
  if (
    read.SEALDEX_METADATA_BYTES !== undefined &&
    read.SEALDEX_DOCUMENT_BYTES !== undefined &&
    read.SEALDEX_METADATA_BYTES > read.SEALDEX_DOCUMENT_BYTES
  ) {
    faults.push('SEALDEX_METADATA_BYTES must not be more than SEALDEX_DOCUMENT_BYTES');
  }
  return faults;
}

function freeze(read: Required<Values>): Config {
  const given = <K extends string, T>(name: K, value: T | undefined) =>
    value === undefined ? {} : ({ [name]: value } as { [k in K]: T });
  return Object.freeze({
    redisUrl: read.REDIS_URL,
    bucket: read.SEALDEX_BUCKET,
    platformKeyArn: read.SEALDEX_PLATFORM_KEY_ARN,
    platformFormerKeyArns: read.SEALDEX_PLATFORM_FORMER_KEY_ARNS,
    region: read.AWS_REGION,
    ...given('s3Endpoint', read.AWS_ENDPOINT_URL_S3),
    ...given('kmsEndpoint', read.AWS_ENDPOINT_URL_KMS),
    ...(read.AWS_ACCESS_KEY_ID === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: read.AWS_ACCESS_KEY_ID,
            secretAccessKey: read.AWS_SECRET_ACCESS_KEY,
            ...given('sessionToken', read.AWS_SESSION_TOKEN),
          },
        }),
    s3ForcePathStyle: read.SEALDEX_S3_FORCE_PATH_STYLE,
    queue: read.SEALDEX_QUEUE,
    concurrency: read.SEALDEX_CONCURRENCY,
    inFlightBytes: read.SEALDEX_IN_FLIGHT_BYTES,
    inlineBytes: read.SEALDEX_INLINE_BYTES,
    port: read.SEALDEX_PORT,
    logLevel: read.SEALDEX_LOG_LEVEL,
    idempotencyMs: read.SEALDEX_IDEMPOTENCY_MS,
    statusMs: read.SEALDEX_STATUS_MS,
    drainMs: read.SEALDEX_DRAIN_MS,
    stopMs: read.SEALDEX_STOP_MS,
    partChars: read.SEALDEX_PART_CHARS,
    metadataBytes: read.SEALDEX_METADATA_BYTES,
    documentBytes: read.SEALDEX_DOCUMENT_BYTES,
  });
}
