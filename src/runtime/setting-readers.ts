// Readers of setting values: each converts a text to a value, or throws an Error that states what the value must be.
import { isIP } from 'node:net';
import { KEY_ARN } from './key-arn.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

const must = (condition: boolean, what: string): void => {
  if (!condition) throw new Error(`must ${what}`);
};

export const matching =
  (form: RegExp, what: string) =>
  (text: string): string => {
    must(form.test(text), `be ${what}`);
    return text;
  };

export const int =
  (low: number, high: number) =>
  (text: string): number => {
    const value = Number(text);
    must(/^\d+$/.test(text) && value >= low && value <= high, `be a whole number from ${low} to ${high}`);
    return value;
  };

const within = (value: number, [low, high]: readonly [number, number], format: (value: number) => string): number => {
  must(value >= low && value <= high, `be from ${format(low)} to ${format(high)}`);
  return value;
};

/** Milliseconds from `low` to `high`, such as `duration('100ms', '1h')`. */
export const duration = (low: string, high: string) => {
  const range = [parseDuration(low), parseDuration(high)] as const;
  return (text: string): number => within(parseDuration(text), range, formatDuration);
};

/** Bytes from `low` to `high`, such as `size('1KiB', '256MiB')`. */
export const size = (low: string, high: string) => {
  const range = [parseSize(low), parseSize(high)] as const;
  return (text: string): number => within(parseSize(text), range, formatSize);
};

export const ipAddress = (text: string): string => {
  must(isIP(text) !== 0, 'be an IP address, such as 127.0.0.1 or ::1');
  return text;
};

export const oneOf =
  <const T extends string>(...words: T[]) =>
  (text: string): T => {
    must((words as string[]).includes(text), `be one of ${words.join(', ')}`);
    return text as T;
  };

export const flag = (text: string): boolean => oneOf('true', 'false')(text) === 'true';

export const url =
  (...schemes: string[]) =>
  (text: string): string => {
    const isUrl = URL.canParse(text) && new URL(text).host !== '' && schemes.some((scheme) => text.startsWith(scheme));
    must(isUrl, `be a URL that begins with ${schemes.join(' or ')}`);
    return text;
  };

const REDIS_SCHEMES = ['redis://', 'rediss://'];

/** A Redis URL. Rejects parts that ioredis would use as options or as another database. */
export const redisUrl = (text: string): string => {
  const { pathname, search, hash } = new URL(url(...REDIS_SCHEMES)(text));
  must(/^\/?$|^\/\d+$/.test(pathname), 'be a URL whose path is the number of a database, such as /1, or empty');
  must(search === '' && hash === '', 'be a URL without ? and # (in a password, write %3F and %23)');
  return text;
};

export const keyArn = matching(KEY_ARN, 'the full ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)');

export const keyArns = (text: string): readonly string[] => {
  const arns = text.split(',').map((part) => part.trim());
  return Object.freeze(arns.filter((arn) => arn !== '').map(keyArn));
};

export const notEmpty = (text: string): string => {
  must(/\S/.test(text), 'not be empty');
  return text;
};
