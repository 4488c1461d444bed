// Calls of the demo: retries, the limit of a wait, and aborts.
import { describe, expect, test } from 'vitest';
import { inBatches, using, waitUntil, withRetries } from '../../src/demo/calls.ts';
import { SealdexError } from '../../src/index.ts';

const { signal } = new AbortController();
const aborted = AbortSignal.abort(new Error('enough'));

/** Fails with the codes in order, then returns `done`. */
function failing(...codes: ('KMS_FAILED' | 'STORE_FAILED' | 'REDIS_FAILED' | 'NOT_FOUND')[]): () => Promise<string> {
  const left = [...codes];
  return async () => {
    const code = left.shift();
    if (code !== undefined) throw new SealdexError(code);
    return 'done';
  };
}

describe('a call', () => {
  test('is repeated until the services respond', async () => {
    expect(await withRetries(failing('KMS_FAILED', 'STORE_FAILED', 'REDIS_FAILED'), signal)).toBe('done');
  });

  test('is not repeated after another error', async () => {
    await expect(withRetries(failing('NOT_FOUND'), signal)).rejects.toThrow(new SealdexError('NOT_FOUND'));
  });

  test('is not made after an abort', async () => {
    await expect(withRetries(failing(), aborted)).rejects.toThrow('enough');
  });
});

describe('a wait', () => {
  test('ends with true once the condition holds, outages included', async () => {
    let polls = 0;
    const call = failing('REDIS_FAILED');
    expect(await waitUntil(async () => (await call()) === 'done' && (polls += 1) === 3, signal)).toBe(true);
  });

  test('ends with false after its time', async () => {
    expect(await waitUntil(async () => false, signal, 0)).toBe(false);
  });
});

test('an opened resource is closed if its use fails', async () => {
  let isClosed = false;
  const open = async () => ({ [Symbol.asyncDispose]: async () => void (isClosed = true) });
  const fail = async (): Promise<never> => Promise.reject(new Error('of the use'));
  await expect(using(open, { services: { settings: {} }, signal }, fail)).rejects.toThrow('of the use');
  expect(isClosed).toBe(true);
});

test('batches return results in the order of their items and start nothing after an abort', async () => {
  expect(await inBatches([1, 2, 3, 4, 5], 2, signal, async (item) => item * 10)).toEqual([10, 20, 30, 40, 50]);
  await expect(inBatches([1], 2, aborted, async (item) => item)).rejects.toThrow('enough');
});
