// The pure parts of settling: the delay of a job, its last attempt, and the text of a failure.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODES, type Code } from '../../src/runtime/errors.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { codeOfFailure, failureOf, failureText } from '../../src/queue/bull/failure-text.ts';
import { backoffMs, isLastAttempt, outageMs } from '../../src/queue/bull/settle.ts';

describe('the backoff', () => {
  const most = (attempt: number): number => backoffMs(attempt, () => 1);

  it('is at most 5 s at first, and doubles to 10 min', () => {
    expect([1, 2, 3, 7, 8, 9, 1000].map(most)).toEqual([5_000, 10_000, 20_000, 320_000, 600_000, 600_000, 600_000]);
    expect([0, -1].map(most)).toEqual([5_000, 5_000]);
  });

  it('is any time up to its maximum, and never zero', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, random) => {
          const ms = backoffMs(attempt, () => random);
          expect(Number.isInteger(ms) && ms >= 1 && ms <= most(attempt)).toBe(true);
        },
      ),
    );
    expect(backoffMs(1, () => 0)).toBe(1);
    expect(backoffMs(1, () => 0.5)).toBe(2_500);
  });
});

describe('the delay during an outage', () => {
  it('grows with every run of the job, and is at most a minute', () => {
    expect([1, 2, 3, 4, 5, 100].map((times) => outageMs(times, () => 1))).toEqual([
      5_000, 10_000, 20_000, 40_000, 60_000, 60_000,
    ]);
  });
});

describe('the last attempt', () => {
  const attemptsOf = (code: Code): number => {
    let attemptsMade = 0;
    while (!isLastAttempt({ attemptsMade }, code)) attemptsMade += 1;
    return attemptsMade + 1;
  };

  it.each([
    ['DEADLINE', 8],
    ['STORE_FAILED', 8],
    ['INTERNAL', 5],
  ] as const)('after %s is number %i', (code, attempts) => {
    expect(attemptsOf(code)).toBe(attempts);
  });

  it('is over if more were made than are allowed today', () => {
    expect(isLastAttempt({ attemptsMade: 50 }, 'INTERNAL')).toBe(true);
  });
});

describe('the text of a failure', () => {
  it('is the code and the job id, and can be parsed again', () => {
    const id = newJobId();
    for (const code of Object.keys(CODES) as Code[]) {
      expect(failureText({ code }, id)).toBe(`${code} ${id}`);
      expect(codeOfFailure(failureText({ code }, id))).toBe(code);
    }
  });

  it('has the reason why a file was not read, only for such a code and a valid reason', () => {
    const id = newJobId();
    const failure = { code: 'FILE_UNSUPPORTED', reason: 'application/x-7z+zip' } as const;
    expect(failureText(failure, id)).toBe(`FILE_UNSUPPORTED ${id} application/x-7z+zip`);
    expect(failureOf(failureText(failure, id))).toEqual(failure);
    expect(failureText({ code: 'INTERNAL', reason: 'damaged' }, id)).toBe(`INTERNAL ${id}`);
    for (const reason of ['', 'Damaged', 'two words', '-x', 'a\nb', 'a'.repeat(101), '\u00e9'])
      expect(failureText({ code: 'FILE_UNREADABLE', reason }, id)).toBe(`FILE_UNREADABLE ${id}`);
    expect(failureOf(`CONTENT_MISSING ${id} damaged`)).toEqual({ code: 'CONTENT_MISSING' });
    expect(failureOf(`FILE_UNREADABLE ${id} <b>`)).toEqual({ code: 'FILE_UNREADABLE' });
  });

  it('written by BullMQ is STALLED_TOO_OFTEN for a job that stalled too often', () => {
    expect(codeOfFailure('job stalled more than allowable limit')).toBe('STALLED_TOO_OFTEN');
  });

  it.each(['', null, undefined, 'toString x', 'installed'])('written by another program is INTERNAL: %j', (text) => {
    expect(codeOfFailure(text)).toBe('INTERNAL');
  });

  it.each(['', undefined, 'a document id', `j${'a'.repeat(33)}`, 'x\ny'])('leaves out an invalid job id: %j', (id) => {
    expect(failureText({ code: 'JOB_INVALID' }, id)).toBe('JOB_INVALID -');
  });
});
