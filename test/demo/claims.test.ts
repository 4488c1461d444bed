// The claims of the demo: each holds for a good result, and fails alone for its bad result.
import { describe, expect, test } from 'vitest';
import { claimsOf } from '../../src/demo/claims.ts';
import type { DemoResult } from '../../src/demo/stage.ts';

const GOOD: DemoResult = {
  documents: 300,
  failed: 0,
  seconds: 2,
  documentsPerSecond: 150,
  kms: { GenerateDataKey: 3, Decrypt: 3 },
  readBack: true,
  officialDecrypt: true,
  plaintextFoundInRedis: false,
  plaintextFoundInS3: false,
  parked: { jobs: 40, probes: 3, kmsCallsWhileShut: 3, releasedPerSecond: 900, lost: 0 },
  others: { p50MsBefore: 20, p50MsDuring: 21 },
  dead: { before: 1, after: 0 },
  uploads: { files: 20, types: 12, stored: 19, dead: 1 },
};

const broken = (change: Partial<DemoResult>): string[] =>
  claimsOf({ ...GOOD, ...change })
    .filter(({ holds }) => holds === false)
    .map(({ claim }) => claim);

test('all claims of a good result hold', () => {
  expect(claimsOf(GOOD).map(({ holds }) => holds)).toEqual(Array(10).fill(true));
});

describe('a claim does not hold', () => {
  test.each<[string, Partial<DemoResult>, string]>([
    ['a document failed', { failed: 1 }, 'Documents are stored'],
    ['a file is missing', { uploads: { ...GOOD.uploads, stored: 18 } }, 'Files are read and stored'],
    ['the cut file was read', { uploads: { ...GOOD.uploads, dead: 0 } }, 'Files are read and stored'],
    ['only seven types were read', { uploads: { ...GOOD.uploads, types: 7 } }, 'Files are read and stored'],
    ['other text came back', { readBack: false }, 'All text comes back'],
    ['the SDK decrypted another record', { officialDecrypt: false }, 'The AWS Encryption SDK reads it'],
    ['plaintext is in Redis', { plaintextFoundInRedis: true }, 'No plaintext is at rest'],
    ['plaintext is in S3', { plaintextFoundInS3: true }, 'No plaintext is at rest'],
    ['each document called KMS', { kms: { GenerateDataKey: 3, Decrypt: 300 } }, 'KMS calls are few'],
    ['no job was parked', { parked: { ...GOOD.parked, jobs: 0 } }, 'A disabled key parks jobs'],
    ['a document was lost', { parked: { ...GOOD.parked, lost: 1 } }, 'A disabled key parks jobs'],
    ['no probe was seen', { parked: { ...GOOD.parked, probes: 0, kmsCallsWhileShut: 0 } }, 'Only probes call KMS'],
    ['parked jobs called KMS', { parked: { ...GOOD.parked, kmsCallsWhileShut: 7 } }, 'Only probes call KMS'],
    ['the others were not measured', { others: { p50MsBefore: 20, p50MsDuring: 0 } }, 'Other tenants continue'],
    ['there was no dead letter', { dead: { before: 0, after: 0 } }, 'Dead letters can be replayed'],
    ['a dead letter is left', { dead: { before: 1, after: 1 } }, 'Dead letters can be replayed'],
  ])('if %s', (_, change, claim) => {
    expect(broken(change)).toEqual([claim]);
  });
});

test('without the AWS Encryption SDK its claim is not checked, and names the command that installs it', () => {
  const claims = claimsOf({ ...GOOD, officialDecrypt: null });
  expect(claims.filter(({ holds }) => holds !== true)).toEqual([
    {
      claim: 'The AWS Encryption SDK reads it',
      measured: 'not checked; to check it: npm install @aws-crypto/client-node',
      holds: undefined,
    },
  ]);
});
