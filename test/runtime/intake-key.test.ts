// Names of content in intake: parsed to the place that was written, within the limit of S3; foreign names are rejected.
import { describe, expect, test } from 'vitest';
import { intakeName, intakePlaceOf, oldIntakeName } from '../../src/runtime/intake-key.ts';
import { newIntakePlace } from '../support/intake.ts';

const longest = newIntakePlace('q'.repeat(50), {
  tenant: 't'.repeat(50),
  corpus: 'c'.repeat(50),
  kind: 'reencrypt',
  revision: Number.MAX_SAFE_INTEGER,
});

describe('the name of content', () => {
  test('is read as it was written', () => {
    for (const place of [
      longest,
      newIntakePlace('main', { tenant: 'a=_-Z', corpus: '-', kind: 'delete', revision: 1 }),
    ])
      expect(intakePlaceOf(intakeName(place))).toEqual(place);
  });

  test('written by an earlier version is read as a place without installation and document', () => {
    const { tenant, jobId, intake } = longest;
    expect(intakePlaceOf(oldIntakeName(longest))).toEqual({ tenant, jobId, intake });
  });

  test('is at most 300 characters, so that its key is within the 1,024 bytes of S3', () => {
    expect(intakeName(longest).length).toBeLessThanOrEqual(300);
  });

  test.each([
    ['no name', ''],
    ['a part more', `${intakeName(longest)}/0123456789abcdef`],
    ['a part less', intakeName(longest).replace('/reencrypt', '')],
    ['another job id', intakeName(longest).replace('/j', '/k')],
    ['a revision of 0', intakeName({ ...longest, revision: 0 })],
    ['a revision that is not exact', intakeName(longest).replace(`${Number.MAX_SAFE_INTEGER}`, '9999999999999999')],
    ['a queue with another character', intakeName({ ...longest, queue: '{main}' })],
    ['another object', intakeName({ ...longest, object: 'abc' })],
  ])('is rejected: %s', (_, name) => {
    expect(intakePlaceOf(name)).toBeUndefined();
  });
});
