// The table of S3 errors through the real client: code, reason, whether S3 denied access, and the number of requests.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { S3_ERRORS, type S3Fault } from '@sealdex/local-aws';
import { INTAKE_REFUSED } from '../../src/intake/intake.ts';
import { storeFault } from '../../src/store/s3/s3-error-mapping.ts';
import { isRefusal } from '../../src/store/store.ts';
import { S3_ERROR_TABLE, type S3ErrorRow } from '../../src/store/s3/s3-errors.ts';
import type { Store } from '../../src/store/store.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';
import { outcomeOf } from '../../src/handlers/outcome.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { faultOf, storeOf } from './fixture.ts';

let services: AwsServices;
let store: Store;

beforeAll(async () => {
  services = await awsServices();
  store = storeOf(services.settings);
});
afterAll(async () => {
  store.close();
  await services[Symbol.asyncDispose]();
});

const answer = (status: number, code: string): S3Fault => ({ kind: 'error', status, code });

interface Row {
  readonly name: string;
  readonly fault: S3Fault;
  readonly isRefusal: boolean;
  readonly attempts: number;
  /** The known part of an error of a HEAD, which has no body. */
  readonly head: string;
}

const row = (fault: S3Fault, isRefusal: boolean, attempts: number, head: string): Row => ({
  name: fault.kind === 'error' ? fault.code : fault.kind,
  fault,
  isRefusal,
  attempts,
  head,
});

/** For a HEAD a missing bucket is like a missing object. */
const NONE = '';

/** Written by hand: the meaning of each error. */
const ROWS: Record<string, readonly Row[]> = {
  failed: [
    row(S3_ERRORS.internal, false, 2, 'Http500'),
    row(answer(503, 'ServiceUnavailable'), false, 2, 'Http503'),
    row(S3_ERRORS.slowDown, false, 2, 'Http503'),
    row(S3_ERRORS.requestTimeout, false, 2, 'Http400'),
    row(answer(400, 'TimeoutError'), false, 2, 'Http400'),
    row(answer(429, 'TooManyRequests'), false, 2, 'Http429'),
    row(answer(400, 'Throttling'), false, 2, 'Http400'),
    row(answer(400, 'ThrottlingException'), false, 2, 'Http400'),
    row(answer(400, 'RequestThrottled'), false, 2, 'Http400'),
  ],
  conflict: [
    row(answer(412, 'PreconditionFailed'), false, 1, 'Http412'),
    row(S3_ERRORS.conflict, false, 1, 'Http409'),
    row(answer(409, 'OperationAborted'), false, 1, 'Http409'),
  ],
  refused: [
    row(S3_ERRORS.accessDenied, true, 1, 'AccessDenied'),
    row(S3_ERRORS.noSuchBucket, true, 1, NONE),
    row(answer(301, 'PermanentRedirect'), true, 1, 'PermanentRedirect'),
    row(answer(400, 'AuthorizationHeaderMalformed'), true, 1, 'Http400'),
    row(S3_ERRORS.expiredToken, true, 1, 'Http400'),
    row(answer(403, 'InvalidAccessKeyId'), true, 1, 'AccessDenied'),
    row(answer(400, 'InvalidToken'), true, 1, 'Http400'),
    row(answer(403, 'SignatureDoesNotMatch'), true, 1, 'AccessDenied'),
    row(answer(403, 'RequestTimeTooSkewed'), true, 1, 'AccessDenied'),
  ],
};

const TABLE: readonly Row[] = [
  ...Object.values(ROWS).flat(),
  // Names missing from the table.
  row(answer(307, 'TemporaryRedirect'), false, 1, 'Http307'),
  row(answer(400, 'KMS.DisabledException'), true, 1, 'Http400'),
  row(answer(405, 'MethodNotAllowed'), true, 1, 'Http405'),
];

test('the table of S3 errors has the names tested here, and is frozen', () => {
  const names = (rows: readonly Row[] = []): string[] => rows.map(({ name }) => name);
  const rows = Object.entries<S3ErrorRow>(S3_ERROR_TABLE);
  expect(Object.fromEntries(rows.map(([kind, { names }]) => [kind, names]))).toEqual({
    failed: names(ROWS['failed']),
    conflict: names(ROWS['conflict']),
    refused: names(ROWS['refused']),
    // Tested separately below.
    missing: MISSING.map(({ name }) => name),
    credentials: NO_CREDENTIALS,
    multipart: [],
  });
  expect([S3_ERROR_TABLE, ...rows.map(([, row]) => row)].every(Object.isFrozen)).toBe(true);
});

const MISSING = [
  { name: 'NoSuchKey', call: () => store.get('nothing/here') },
  { name: 'NotFound', call: () => store.head('nothing/here') },
];

test.each(MISSING)('$name is a result, not an error', async ({ call }) => {
  expect(await call()).toBeUndefined();
});

test('a missing object is a result, not an error, when it should be replaced', async () => {
  expect(await store.put('nothing/here', Buffer.from('x'), { condition: { etag: '"x"' } })).toEqual({
    kind: 'missing',
  });
});

const NO_CREDENTIALS = ['CredentialsProviderError', 'TokenProviderError'];

test.each(NO_CREDENTIALS)('%s is a platform error, and not an S3 denial', async (name) => {
  const set = services.s3.faults.set({ match: { prefix: `${name}/` }, fault: answer(400, name) });
  const fault = await faultOf(store.get(`${name}/x`));
  set.clear();
  expect(fault).toMatchObject({ code: 'PLATFORM_CREDENTIALS', reason: name });
  expect(S3_ERROR_TABLE.credentials.outcomes).toEqual([{ code: fault.code }]);
  expect(isRefusal(fault)).toBe(false);
});

const JOB = { tenant: 'acme', ageMs: 0, parkedMaxMs: 0 };

test('an S3 denial gets the code of the table: with a failed canary, with a passed one, and for content in intake', async () => {
  const set = services.s3.faults.set({ match: { prefix: 'refused/' }, fault: S3_ERRORS.accessDenied });
  const refused = await faultOf(store.get('refused/x'));
  set.clear();
  const inIntake = new SealdexError('STORE_FAILED', undefined, { reason: INTAKE_REFUSED, cause: refused });
  const become = (fault: SealdexError, isGood: boolean): Promise<Outcome> =>
    outcomeOf(fault, JOB, () => Promise.resolve(isGood), new AbortController().signal);
  const outcomes = [await become(refused, false), await become(refused, true), await become(inIntake, true)];
  expect(outcomes).toEqual([
    { kind: 'pause', code: 'PLATFORM_STORE' },
    { kind: 'retry', code: 'STORE_FAILED', spendsAttempt: true },
    { kind: 'retry', code: 'CONTENT_MISSING', spendsAttempt: true },
  ]);
  expect(S3_ERROR_TABLE.refused.outcomes.map(({ code }) => code)).toEqual(
    outcomes.map((outcome) => 'code' in outcome && outcome.code),
  );
});

/** Results of a conditional write for them, after which its writer reads again. */
const CONFLICTS: Readonly<Record<string, string>> = {
  PreconditionFailed: 'exists',
  ConditionalRequestConflict: 'conflict',
  OperationAborted: 'conflict',
};

const operations: Record<string, (store: Store, key: string) => Promise<unknown>> = {
  put: (store, key) => store.put(key, Buffer.from('x'), {}),
  'put if absent': (store, key) => store.put(key, Buffer.from('x'), { condition: { absent: true } }),
  'put if match': (store, key) => store.put(key, Buffer.from('x'), { condition: { etag: '"x"' } }),
  get: (store, key) => store.get(key),
  remove: (store, key) => store.remove(key),
  list: (store, key) => store.list(key),
};

describe.each(TABLE)('$name', ({ name, fault, isRefusal: refuses, attempts, head }) => {
  // A separate client: the SDK stops retrying after too many failures.
  let own: Store;
  beforeAll(() => {
    own = storeOf(services.settings);
  });
  afterAll(() => own.close());

  // Each call in a separate folder, so that all run at once and their requests are counted separately.
  const folderOf = (operation: string): string => `${name}-${operation.replaceAll(' ', '-')}/`;
  const met = async (operation: string, call: (key: string) => Promise<unknown>) => {
    const folder = folderOf(operation);
    const set = services.s3.faults.set({ match: { prefix: folder }, fault });
    const error = await call(`${folder}x`).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    set.clear();
    return { ...error, requests: services.s3.requests.count({ prefix: folder }) };
  };

  test.concurrent.each(Object.keys(operations))(
    'for %s is STORE_FAILED or a conflict, and counts as a denial or not',
    async (operation) => {
      const conflictKind = operation.startsWith('put if') ? CONFLICTS[name] : undefined;
      const isConflict = conflictKind !== undefined;
      const { requests, ...answered } = await met(operation, (key) => operations[operation]!(own, key));
      const seen = 'error' in answered ? answered.error : undefined;
      expect(
        isConflict ? answered : { code: (seen as SealdexError).code, reason: (seen as SealdexError).reason },
      ).toEqual(isConflict ? { value: { kind: conflictKind } } : { code: 'STORE_FAILED', reason: name });
      expect(isRefusal(seen)).toBe(!isConflict && refuses);
      expect(requests).toBe(attempts);
    },
  );

  test.concurrent('for a HEAD is named by its status, for it has no body', async () => {
    const { requests, ...answered } = await met('head', (key) => own.head(key));
    const seen = 'error' in answered ? answered.error : undefined;
    const mapped = seen instanceof SealdexError ? `${seen.code} ${seen.reason}` : answered;
    expect(mapped).toEqual(head === NONE ? { value: undefined } : `STORE_FAILED ${head}`);
    expect(isRefusal(seen)).toBe(head !== NONE && (refuses || head === 'Http400'));
    expect(requests).toBeLessThanOrEqual(2);
  });
});

test('a permanent network error is tried twice, and is not a denial', async () => {
  const set = services.s3.faults.set({ match: { prefix: 'cut/' }, fault: { kind: 'lostResponse' } });
  const fault = await faultOf(store.get('cut/x'));
  set.clear();
  expect(fault).toMatchObject({ code: 'STORE_FAILED', reason: 'RequestTimeout' });
  expect(isRefusal(fault)).toBe(false);
  expect(services.s3.requests.count({ prefix: 'cut/' })).toBe(2);
});

test('a refused connection is STORE_FAILED with its reason, and is not a denial', async () => {
  const gone = await awsServices();
  const orphan = storeOf(gone.settings);
  await gone[Symbol.asyncDispose]();
  const faults = await Promise.all(Object.values(operations).map((call) => faultOf(call(orphan, 'a/b'))));
  orphan.close();
  expect(faults.map(({ code, reason }) => `${code} ${reason}`)).toEqual(faults.map(() => 'STORE_FAILED ECONNREFUSED'));
  expect(faults.some(isRefusal)).toBe(false);
});

describe('the mapped error', () => {
  const named = (name: string, more: object = {}): Error =>
    Object.assign(new Error('text of the server'), { name }, more);

  test('is PLATFORM_CREDENTIALS without credentials', () => {
    expect(storeFault(named('CredentialsProviderError')).code).toBe('PLATFORM_CREDENTIALS');
  });

  test.each(['SlowDown', 'ExpiredToken', 'CredentialsProviderError'])('keeps the request id: %s', (name) => {
    expect(storeFault(named(name, { $metadata: { requestId: 'r-1' } })).requestId).toBe('r-1');
    expect(storeFault(named(name))).not.toHaveProperty('requestId');
  });

  test('keeps its cause, and never uses text as a reason', () => {
    const odd = named('a secret <b>name</b> with spaces', { $metadata: { httpStatusCode: 400 } });
    const fault = storeFault(odd);
    expect(fault).toMatchObject({ code: 'STORE_FAILED', reason: 'Http400', cause: odd });
    expect(fault.message).not.toContain('text of the server');
    expect(storeFault('what was thrown').reason).toBe('Unknown');
    expect(storeFault(undefined).reason).toBe('Unknown');
  });

  test('is the same if it was typed already', () => {
    const typed = new SealdexError('CONTENT_MISSING');
    expect(storeFault(typed)).toBe(typed);
    expect(isRefusal(typed)).toBe(false);
    expect(isRefusal(new Error('AccessDenied'))).toBe(false);
  });
});
