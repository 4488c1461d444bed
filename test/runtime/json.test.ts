// Tests of JSON with integers of any size.
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  doubleOf,
  duplicateKeys,
  isRawInteger,
  parseBig,
  parseRaw,
  rawInteger,
  stringifyBig,
} from '../../src/runtime/json.ts';

describe('large integers', () => {
  test.each(['9007199254740993', '-9007199254740993', '18446744073709551615', `1${'0'.repeat(400)}1`])(
    'include %s, which keeps its digits',
    (digits) => {
      const text = `{"a":[${digits}]}`;
      expect(JSON.stringify(parseRaw(text))).toBe(text);
      expect(parseBig(text)).toEqual({ a: [BigInt(digits)] });
      expect(stringifyBig(parseBig(text))).toBe(text);
    },
  );

  test.each(['9007199254740991', '-9007199254740991', '1234567890123456.5', '1e21', '-1.5e300', '1e-20'])(
    'exclude %s, which stays a number',
    (text) => {
      expect(parseRaw(text)).toBe(Number(text));
      expect(parseBig(text)).toBe(Number(text));
    },
  );

  test.each([
    ['1e20', '100000000000000000000'],
    ['[1E+20 ]', '[100000000000000000000]'],
    ['{"a":123456789012345.5e2}', '{"a":12345678901234550}'],
    ['12345678901234567890.0', '12345678901234567000'],
  ])('include %s as raw JSON, with the digits that JSON writes for it', (text, digits) => {
    expect(JSON.stringify(parseRaw(text))).toBe(digits);
    expect(stringifyBig(parseRaw(text))).toBe(digits);
    expect(parseBig(text)).toEqual(JSON.parse(text));
  });

  it('include a double that JSON writes as an integer, from JSON for JSON', () => {
    expect(isRawInteger(parseRaw('1e20'))).toBe(true);
  });

  it('exclude digits inside a string', () => {
    expect(parseRaw('"9007199254740993"')).toBe('9007199254740993');
  });

  test('survive a round trip, as does any JSON value', () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.bigInt().filter((n) => !Number.isSafeInteger(Number(n))),
        fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
        fc.integer(),
        fc.constantFrom(null, true, false),
        fc.array(tie('any')),
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__'),
          tie('any'),
          { noNullPrototype: true },
        ),
      ),
    })).any;
    fc.assert(
      fc.property(value, (given) => {
        expect(parseBig(stringifyBig(given))).toEqual(given);
      }),
    );
  });

  it('are not read from invalid JSON', () => {
    expect(() => parseRaw('[9007199254740993')).toThrow(SyntaxError);
  });

  test('exclude raw JSON other than an integer', () => {
    const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };
    expect([rawJSON('1.5'), rawJSON('"1"'), rawJSON('1'), 1, '1', { rawJSON: '1' }].map(isRawInteger)).toEqual([
      false,
      false,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('an integer for a double', () => {
  test.each([
    ['9007199254740993', undefined],
    ['9007199254740994', 9_007_199_254_740_994],
    ['1152921504606846976', 2 ** 60],
    [String(2 ** 60), 2 ** 60],
    ['1152921504606846977', undefined],
    [`1${'0'.repeat(400)}`, undefined],
  ])('given as %s is %s', (digits, expected) => {
    expect(doubleOf(rawInteger(BigInt(digits)))).toBe(expected);
  });
});

describe('duplicate keys', () => {
  test.each<[string, unknown[]]>([
    ['{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}', []],
    ['{"a":1,"a":2}', [['a']]],
    [String.raw`{"a":1,"\u0061":2}`, [['a']]],
    [String.raw`{"a\\":1,"a\"":2,"a\\":3}`, [['a\\']]],
    ['{"a":{"b":[0,{"c":1,"c":"}{"}]},"d":"c","d":[]}', [['a', 'b', 1, 'c'], ['d']]],
    [
      '[{"a":"a","b":"a","a":null}, [[]], {"x":"x,\\"x\\":1"}, {"y":1, "y" : 2}]',
      [
        [0, 'a'],
        [3, 'y'],
      ],
    ],
    ['"a"', []],
  ])('in %s are %j', (text, paths) => {
    JSON.parse(text);
    expect([...duplicateKeys(text)]).toEqual(paths);
  });

  test('are never found in the output of JSON.stringify', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect([...duplicateKeys(JSON.stringify(value))]).toEqual([]);
      }),
    );
  });
});
