// Durations and sizes as text: reading, rejecting and printing them.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  approximateDuration,
  approximateSize,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../src/runtime/units.ts';

describe('a duration', () => {
  test.each([
    ['0', 0],
    ['250', 250],
    ['500ms', 500],
    ['90s', 90_000],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['30d', 2_592_000_000],
    ['007s', 7000],
  ])('given as %s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    '',
    ' ',
    's',
    '5 m',
    ' 5m',
    '5m\n',
    '1.5h',
    '-1s',
    '+1s',
    '5minutes',
    '5M',
    '5S',
    '1h30m',
    '1e3',
    '0x10',
    '٣s',
    '5toString',
  ])('given as %j is rejected with the form and an example', (text) => {
    expect(() => parseDuration(text)).toThrow(/^must be a whole number and a unit \(ms, s, m, h or d\), such as 90s/);
  });

  test.each(['9007199254740993', '104249992d', `${'9'.repeat(400)}s`])(
    'given as %s is rejected because it is too long',
    (text) => {
      expect(() => parseDuration(text)).toThrow(/^must be a shorter duration, such as 90s/);
    },
  );

  test.each([
    [0, '0ms'],
    [1, '1ms'],
    [1500, '1500ms'],
    [60_000, '1m'],
    [90_000, '90s'],
    [86_400_000, '1d'],
  ])('with %d ms is printed as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  const durations = fc
    .tuple(fc.nat(100_000), fc.constantFrom(1000, 60_000, 3_600_000, 86_400_000))
    .map(([count, unitMs]) => count * unitMs);

  test('is read back as it was printed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), durations), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
  });

  test.each([
    [0, '0ms'],
    [999.4, '999ms'],
    [999.6, '1s'],
    [1500, '2s'],
    [119_000, '119s'],
    [120_000, '2m'],
    [7_200_000, '2h'],
    [86_400_000, '24h'],
    [3 * 86_400_000, '3d'],
  ])('measured as %d ms is rounded to %s', (ms, text) => {
    expect(approximateDuration(ms)).toBe(text);
  });
});

describe('a size', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['10KiB', 10_240],
    ['64MiB', 67_108_864],
    ['1GiB', 1_073_741_824],
  ])('given as %s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['10KB', '10MB', '1GB', '10k', '10M', '1 GB', '64mb'])(
    'given as %j is rejected with a hint at binary units',
    (text) => {
      expect(() => parseSize(text)).toThrow(/^must use KiB, MiB or GiB as its unit, such as 10KiB/);
    },
  );

  test.each(['', 'MiB', '5 MiB', '1.5GiB', '-1B', '64mib', '1TiB', '1e3', '10b'])(
    'given as %j is rejected with the form and an example',
    (text) => {
      expect(() => parseSize(text)).toThrow(
        /^must be a whole number and a unit \(B, KiB, MiB or GiB\), such as 64MiB$/,
      );
    },
  );

  test.each(['9007199254740993', '8388608GiB'])('given as %s is rejected because it is too large', (text) => {
    expect(() => parseSize(text)).toThrow(/^must be a smaller size, such as 64MiB/);
  });

  const sizes = fc
    .tuple(fc.nat(8_000_000), fc.constantFrom(1024, 1_048_576, 1_073_741_824))
    .map(([count, unitBytes]) => count * unitBytes);

  test('is read back as it was printed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), sizes), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });

  test.each([
    [0, '0B'],
    [1023, '1023B'],
    [1536, '1.5KiB'],
    [1_048_576, '1MiB'],
    [3_670_016, '3.5MiB'],
    [20_500_000, '20MiB'],
  ])('measured as %d bytes is rounded to %s', (bytes, text) => {
    expect(approximateSize(bytes)).toBe(text);
  });
});
