// The table of key states, row by row through the real client against the local KMS: code, reason, key and date of deletion.
import { DescribeKeyCommand } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { KMS_ERRORS, type KeyState } from '@sealdex/local-aws';
import type { Code, SealdexError } from '../../src/runtime/errors.ts';
import { kmsFault } from '../../src/keys/aws/kms-error-mapping.ts';
import { KEY_STATE_TABLE, type KeyStateRow } from '../../src/keys/aws/kms-errors.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { kmsClient } from '../../packages/local-aws/test/clients.ts';
import { contextOf, type OneRing } from './fixture.ts';
import { openAdapterFixture, type AdapterFixture } from './adapter-fixture.ts';

let fixture: AdapterFixture;
let one: OneRing;

beforeAll(async () => {
  fixture = await openAdapterFixture();
  one = await fixture.open();
});

afterEach(() => {
  fixture.kms.faults.clear();
  fixture.kms.setState(fixture.config.platformKeyArn, 'Enabled');
});

afterAll(() => fixture[Symbol.asyncDispose]());

interface StateRow {
  readonly state: KeyState;
  readonly answers: 'DisabledException' | 'KMSInvalidStateException' | 'ok';
  readonly code: Code | 'ok';
  readonly platform: Code | 'ok';
}

const stateRow = (
  state: KeyState,
  answers: StateRow['answers'],
  code: StateRow['code'],
  platform: StateRow['platform'],
): StateRow => ({ state, answers, code, platform });

/** Written by hand: the meaning of each state. */
const STATES: StateRow[] = [
  stateRow('Enabled', 'ok', 'ok', 'ok'),
  stateRow('Updating', 'ok', 'ok', 'ok'),
  stateRow('Creating', 'KMSInvalidStateException', 'KMS_FAILED', 'KMS_FAILED'),
  stateRow('Disabled', 'DisabledException', 'KEY_DISABLED', 'PLATFORM_KEY'),
  stateRow('PendingDeletion', 'DisabledException', 'KEY_PENDING_DELETION', 'PLATFORM_KEY'),
  stateRow('PendingDeletion', 'KMSInvalidStateException', 'KEY_PENDING_DELETION', 'PLATFORM_KEY'),
  stateRow('PendingReplicaDeletion', 'KMSInvalidStateException', 'KEY_PENDING_DELETION', 'PLATFORM_KEY'),
  stateRow('PendingImport', 'KMSInvalidStateException', 'KEY_PENDING_IMPORT', 'PLATFORM_KEY'),
  stateRow('Unavailable', 'KMSInvalidStateException', 'KEY_UNAVAILABLE', 'PLATFORM_KEY'),
];

/** Rows without a state in the local KMS, tested separately below. */
const TOLD_OTHERWISE = ['gone', 'other'];

test('the table of key states has the rows tested here, and is frozen', () => {
  const rows = Object.entries<KeyStateRow>(KEY_STATE_TABLE);
  expect(new Set(rows.map(([state]) => state))).toEqual(
    new Set([...STATES.map(({ state }) => state), ...TOLD_OTHERWISE]),
  );
  expect([KEY_STATE_TABLE, ...rows.map(([, row]) => row)].every(Object.isFrozen)).toBe(true);
});

interface ErrorFacts {
  readonly code: string;
  readonly reason?: string | undefined;
  readonly keyArn?: string | undefined;
  readonly deletesAt?: number | undefined;
}

const factsOf = (call: Promise<unknown>): Promise<ErrorFacts> =>
  call.then(
    () => ({ code: 'ok' }),
    ({ code, reason, keyArn, deletesAt }: SealdexError) => ({ code, reason, keyArn, deletesAt }),
  );

test.each(STATES)('a key in state $state ($answers) is reported as $code', async ({ state, answers, ...codes }) => {
  const ref = fixture.tenant();
  const context = contextOf(ref.tenant);
  for (const [key, code] of [
    [ref.keyArn, codes.code],
    [fixture.config.platformKeyArn, codes.platform],
  ] as const) {
    const { wrapped } = await one.kms.generateDataKey(keyRef(context.tenant, key), context);
    let deletesAt: number | undefined;
    if (state === 'PendingDeletion') {
      fixture.kms.scheduleDeletion(key, { days: 7, answers: answers as 'DisabledException' });
      deletesAt = await deletionOf(key);
    } else fixture.kms.setState(key, state);
    const callBoth = async (): Promise<ErrorFacts[]> => [
      await factsOf(one.kms.generateDataKey(keyRef(context.tenant, key), context)),
      await factsOf(one.kms.decrypt(keyRef(context.tenant, key), wrapped, context)),
    ];
    const fault = { code, reason: answers, keyArn: key };
    const both = (facts: ErrorFacts): ErrorFacts[] => [facts, facts];
    expect(await callBoth()).toEqual(both(answers === 'ok' ? { code: 'ok' } : { ...fault, deletesAt }));
    // If DescribeKey is denied too, the text of the error has the state, but no date.
    const set = fixture.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: KMS_ERRORS.accessDenied });
    expect(await callBoth()).toEqual(both(answers === 'ok' ? { code: 'ok' } : { ...fault, deletesAt: undefined }));
    set.clear();
  }
});

/** Deletion date of the key in the local KMS, milliseconds. */
async function deletionOf(key: string): Promise<number> {
  const client = kmsClient(fixture.kms);
  const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId: key }));
  client.destroy();
  return KeyMetadata!.DeletionDate!.getTime();
}

test('a deleted key is reported as KEY_NOT_FOUND', async () => {
  const ref = fixture.tenant();
  const { wrapped } = await one.kms.generateDataKey(ref, contextOf(ref.tenant));
  fixture.kms.forget(ref.keyArn);
  const gone = { code: 'KEY_NOT_FOUND', reason: 'NotFoundException', keyArn: ref.keyArn };
  expect(await factsOf(one.kms.generateDataKey(ref, contextOf(ref.tenant)))).toEqual(gone);
  expect(await factsOf(one.kms.decrypt(ref, wrapped, contextOf(ref.tenant)))).toEqual(gone);
  expect(KEY_STATE_TABLE.gone).toMatchObject({ tenant: gone.code, platform: 'PLATFORM_KEY' });
});

test.each(['Enabled', 'Updating'] as const)(
  'a rejection is temporary if DescribeKey finds the key %s',
  async (state) => {
    const ref = fixture.tenant();
    fixture.kms.setState(ref.keyArn, state);
    fixture.kms.faults.set({
      match: { key: ref.keyArn, operation: 'GenerateDataKey' },
      fault: { kind: 'error', name: 'DisabledException' },
    });
    const fault = { code: 'KMS_FAILED', reason: 'DisabledException', keyArn: ref.keyArn, deletesAt: undefined };
    expect(await factsOf(one.kms.generateDataKey(ref, contextOf(ref.tenant)))).toEqual(fault);
  },
);

test.each(['Invented', 'constructor', '__proto__'])('an unknown state, such as %s, has no code of its own', (state) => {
  const refusal = Object.assign(new Error('x'), { name: 'DisabledException' });
  const key = { arn: 'arn:aws:kms:us-west-2:111122223333:key/k', isPlatformKey: true };
  expect(kmsFault(refusal, key, { state }).code).toBe('KMS_FAILED');
  expect(KEY_STATE_TABLE.other).toMatchObject({ tenant: 'KMS_FAILED', platform: 'KMS_FAILED' });
});

test.each([
  ['DisabledException', 'KEY_DISABLED'],
  ['KMSInvalidStateException', 'KEY_UNAVAILABLE'],
])('%s with an unknown message is reported as %s if DescribeKey is denied', async (name, code) => {
  const ref = fixture.tenant();
  fixture.kms.faults.set({ match: { operation: 'GenerateDataKey' }, fault: { kind: 'error', name, message: 'No.' } });
  fixture.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: KMS_ERRORS.accessDenied });
  expect((await factsOf(one.kms.generateDataKey(ref, contextOf(ref.tenant)))).code).toBe(code);
});
