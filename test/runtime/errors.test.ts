// The code table against its contract, and the message and fields of an error.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CODES, SealdexError, dispositionOf, isCode, type Code } from '../../src/runtime/errors.ts';

/** The contract: disposition, attempts if given, exit, codes. A code may be missing, but not differ. */
const CONTRACT = `
  park   -  75  KEY_DISABLED KEY_PENDING_DELETION KEY_PENDING_IMPORT KEY_UNAVAILABLE KEY_DENIED KEY_NOT_FOUND
  park   -  75  KEY_BLOCKED TENANT_PAUSED
  retry  0  75  KMS_THROTTLED JOB_NEWER
  retry  0  69  KMS_FAILED STORE_FAILED REDIS_FAILED
  retry  8  69  DEADLINE
  retry  5  70  INTERNAL
  defer  -  75  TENANT_SLOTS_FULL KMS_SLOTS_FULL MEMORY_BUDGET_FULL REENCRYPTION_NOT_DUE STALLED
  pause  -  69  PLATFORM_CREDENTIALS PLATFORM_KEY PLATFORM_DENIED PLATFORM_STORE PLATFORM_TENANTS
  dead   -  65  JOB_INVALID DOCUMENT_INVALID DOCUMENT_CONFLICT TENANT_UNKNOWN TENANT_KEY_INVALID CONTENT_MISSING
  dead   -  65  CONTENT_TAMPERED KEY_DESTROYED PARKED_TOO_LONG STALLED_TOO_OFTEN JOB_CANCELED
  dead   -  65  FILE_UNSUPPORTED FILE_UNREADABLE FILE_TOO_LARGE FILE_TOO_COMPLEX FILE_NO_TEXT
  none   -  66  NOT_FOUND
  dead   -  77  PERIOD_DENIED
  retry  0  75  GATE_UNKNOWN
  none   -  65  OBJECT_MISMATCH OBJECT_TAMPERED OBJECT_UNREADABLE
  none   -  75  TENANT_BACKLOG_FULL QUEUE_FULL CLOCK_SKEW TENANT_CHANGED RECOVERY_RUNNING
  none   -  65  IDEMPOTENCY_CONFLICT
  none   -  78  CONFIG_INVALID
`;

const contract = new Map(
  CONTRACT.trim()
    .split('\n')
    .flatMap((line) => {
      const [disposition, attempts, exit, ...codes] = line.trim().split(/\s+/);
      const row = { disposition, exit: Number(exit), ...(attempts === '-' ? {} : { attempts: Number(attempts) }) };
      return codes.map((code) => [code, row] as const);
    }),
);

const codes = Object.keys(CODES) as Code[];

test.each(codes)('%s has the disposition, the attempts and the exit of its contract', (code) => {
  const { disposition, exit, attempts } = dispositionOf(code);
  expect({ disposition, exit, ...(attempts === undefined ? {} : { attempts }) }).toEqual(contract.get(code));
});

test.each(codes)('%s has a description and a remedy of one line each', (code) => {
  const { description, remedy } = CODES[code];
  for (const words of [description, remedy]) {
    expect(words).toMatch(/^\S.*[^\s.]$/);
    expect(words).toMatch(/^(?:[a-z']|AWS|KMS|S3|Redis)/);
  }
});

test('a retryable code states how many attempts it spends, and no other does', () => {
  const withAttempts = codes.filter((code) => dispositionOf(code).attempts !== undefined);
  expect(withAttempts).toEqual(codes.filter((code) => CODES[code].disposition === 'retry'));
});

test('the code table is frozen', () => {
  expect(Object.isFrozen(CODES)).toBe(true);
  expect(codes.filter((code) => !Object.isFrozen(CODES[code]))).toEqual([]);
});

test.each(['toString', '__proto__', 'constructor', 'key_disabled', ''])('%o is not a code', (word) => {
  expect(isCode(word)).toBe(false);
});

test('every key of the table is a code', () => {
  expect(codes.every(isCode)).toBe(true);
});

describe('an error', () => {
  test('without a message of its own has two sentences: the description and the remedy of its code', () => {
    expect(new SealdexError('KEY_DISABLED').message).toBe(
      "The tenant's KMS key is disabled. Ask the tenant to enable the key; parked jobs resume automatically.",
    );
    for (const code of codes) {
      const { description, remedy } = CODES[code];
      const { message } = new SealdexError(code);
      expect(message.toLowerCase()).toBe(`${description}. ${remedy}.`.toLowerCase());
      expect(message.charAt(0)).toBe(description.charAt(0).toUpperCase());
      expect(message.charAt(description.length + 2)).toBe(remedy.charAt(0).toUpperCase());
    }
  });

  test.each([
    ['tenant', 'Ask the tenant to restore the statements'],
    ['operator', 'Allow the key in the IAM policy of the role'],
  ] as const)('for a denial by the %s has the remedy of that side', (deniedBy, remedy) => {
    const { message } = new SealdexError('KEY_DENIED', undefined, { deniedBy });
    expect(message).toContain(`KMS denied access to the tenant's key. ${remedy}`);
  });

  test('with a message of its own has no other text', () => {
    expect(new SealdexError('NOT_FOUND', 'There is no job j1.').message).toBe('There is no job j1.');
  });

  test('is an Error named SealdexError with its code', () => {
    const error = new SealdexError('KMS_FAILED');
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'SealdexError', code: 'KMS_FAILED' });
    expect(error.stack).toContain('errors.test.ts');
  });

  test('keeps its cause, even a falsy one', () => {
    const cause = new Error('socket hang up');
    expect(new SealdexError('KMS_FAILED', undefined, { cause }).cause).toBe(cause);
    expect(new SealdexError('KMS_FAILED', undefined, { cause: null }).cause).toBeNull();
  });

  test('has no field, reason or cause unless given', () => {
    const { field, reason, cause } = new SealdexError('INTERNAL');
    expect([field, reason, cause]).toEqual([undefined, undefined, undefined]);
  });

  test('shows its code, field and reason when printed', () => {
    const error = new SealdexError('DOCUMENT_INVALID', undefined, { field: 'sections[2].text', reason: 'empty' });
    const printed = inspect(error);
    for (const word of ['DOCUMENT_INVALID', 'sections[2].text', 'empty']) expect(printed).toContain(word);
  });
});
