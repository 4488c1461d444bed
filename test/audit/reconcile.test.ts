// Audit lines compared with the log of the local KMS: matches, differences, and calls on one side only.
import { GenerateDataKeyCommand, GetKeyPolicyCommand } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KMS_ERRORS } from '@sealdex/local-aws';
import { contextOf, openFixture, reconcile, type Line, type Fixture } from './fixture.ts';

const acme = { tenant: 'acme' };
const OWNER = 'arn:aws:iam::111122223333:user/owner';
const STRANGER = 'arn:aws:iam::444455556666:role/stranger';

let fixture: Fixture;
let key: string;
let before: number;

beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => {
  fixture.kms.faults.clear();
  key = fixture.kms.createKey();
  before = fixture.kms.trail().length;
});

/** Calls of this test. */
const trail = (): object[] => fixture.kms.trail().slice(before);

const foreignCall = (by: string): Promise<unknown> =>
  fixture
    .stranger(by)
    .send(new GenerateDataKeyCommand({ KeyId: key, KeySpec: 'AES_256', EncryptionContext: { ...contextOf('acme') } }));

const NOTHING = {
  different: [],
  onlyInTrail: [],
  onlyInAudit: [],
  unansweredInTrail: 0,
  unanswered: [],
  refused: [],
  underPlatformKey: 0,
  housekeeping: [],
};

describe('calls on both sides', () => {
  test('match line by line, including denied ones', async () => {
    const context = contextOf('acme');
    const lines = [
      await fixture.generate(key, context),
      await fixture.encrypt(key, context),
      await fixture.describe(key),
    ];
    const made = trail();
    before = fixture.kms.trail().length;
    // Each of these is preceded by a call of the test that is not in the audit log.
    const decrypted = [await fixture.decrypt(key, context), await fixture.reEncrypt(key, context)];
    const wrong = await fixture.decrypt(key, { ...context, period: '2000-01-01T00:00Z' }, context);
    expect(wrong['result']).toBe('InvalidCiphertextException');
    made.push(...trail().filter((event) => (event as Line)['eventName'] !== 'Encrypt'));
    before = fixture.kms.trail().length;
    fixture.kms.disable(key);
    const disabled = await fixture.generate(key, context);
    fixture.kms.enable(key);
    fixture.kms.faults.set({ match: { key }, fault: KMS_ERRORS.accessDenied });
    const denied = await fixture.generate(key, context);
    expect([disabled['result'], denied['result']]).toEqual(['DisabledException', 'AccessDeniedException']);
    made.push(...trail());
    expect(await reconcile([...lines, ...decrypted, wrong, disabled, denied], made, acme)).toMatchObject({
      agrees: true,
      matched: 8,
      ...NOTHING,
    });
  });

  test('count once if repeated on either side', async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    const found = await reconcile([line, line], [...trail(), ...trail()], acme);
    expect(found).toMatchObject({ agrees: true, matched: 1, audit: { duplicates: 1 }, trail: { duplicates: 1 } });
  });

  test('count once if in the trails of both accounts', async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    const [event] = trail() as Line[];
    const other = { ...event, eventID: 'another', recipientAccountId: '444455556666' };
    expect(await reconcile([line], [event!, other], acme)).toMatchObject({ agrees: true, trail: { duplicates: 1 } });
    const shared = [event!, other].map((each) => ({ ...each, sharedEventID: 'shared' }));
    expect(await reconcile([], shared, acme)).toMatchObject({ onlyInTrail: [{ id: 'shared' }] });
  });

  test('ignore those of other tenants, except those with the same key', async () => {
    const shared = await fixture.generate(key, contextOf('acme'));
    const other = { ...(await fixture.generate(key, contextOf('globex'))), tenant: 'globex' };
    const foreign = { ...(await fixture.generate(fixture.kms.createKey(), contextOf('globex'))), tenant: 'globex' };
    expect(await reconcile([shared, other, foreign], trail(), acme)).toMatchObject({ agrees: true, matched: 2 });
    expect(await reconcile([shared, foreign], trail(), acme)).toMatchObject({
      agrees: false,
      onlyInTrail: [{ contexts: [contextOf('globex')] }],
    });
  });

  test('are required for agreement', async () => {
    expect(await reconcile([], [], acme)).toMatchObject({ agrees: false, matched: 0, ...NOTHING });
  });
});

describe('calls only in CloudTrail', () => {
  test('include a call missing in the audit log', async () => {
    const [first, second] = [
      await fixture.generate(key, contextOf('acme')),
      await fixture.generate(key, contextOf('acme')),
    ];
    expect(await reconcile([first], trail(), acme)).toMatchObject({
      agrees: false,
      matched: 1,
      ...NOTHING,
      onlyInTrail: [{ requestId: second['requestId'], operation: 'GenerateDataKey', keys: [key] }],
    });
  });

  test("include a stranger's call, with the caller as far as AWS names it", async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    fixture.kms.setPolicy(key, {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: ['arn:aws:iam::111122223333:root', 'arn:aws:iam::444455556666:root'] },
          Action: 'kms:*',
          Resource: '*',
        },
      ],
    });
    await foreignCall(OWNER);
    await foreignCall(STRANGER);
    const { agrees, onlyInTrail } = await reconcile([line], trail(), acme);
    expect(agrees).toBe(false);
    expect(onlyInTrail).toMatchObject([
      { principal: OWNER, sourceIp: '127.0.0.1' },
      { principal: 'stranger:local of account 444455556666' },
    ]);
  });

  test("include a stranger's call with another key in the tenant's name", async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    await fixture.generate(fixture.kms.createKey(), contextOf('acme'));
    expect(await reconcile([line], trail(), acme)).toMatchObject({ onlyInTrail: [{ contexts: [contextOf('acme')] }] });
  });

  test('include a denied attempt of a stranger with the key named only in its message', async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    fixture.kms.faults.set({ match: { key }, fault: KMS_ERRORS.accessDenied });
    await foreignCall(OWNER).catch(() => {});
    expect(await reconcile([line], trail(), acme)).toMatchObject({
      onlyInTrail: [{ result: 'AccessDeniedException', keys: [], principal: OWNER }],
    });
  });

  test("exclude waiting content under another key in the tenant's name, not under the tenant's key", async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    await fixture.generate(fixture.kms.createKey(), { ...contextOf('acme'), purpose: 'intake' });
    expect(await reconcile([line], trail(), acme)).toMatchObject({ agrees: true, ...NOTHING, underPlatformKey: 1 });
    await fixture.generate(key, { ...contextOf('acme'), purpose: 'intake' });
    expect(await reconcile([line], trail(), acme)).toMatchObject({ agrees: false, onlyInTrail: [{ keys: [key] }] });
  });

  test("exclude management calls by the key owner's account, and by no other", async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    await fixture.stranger(OWNER).send(new GetKeyPolicyCommand({ KeyId: key }));
    const events = trail();
    expect(await reconcile([line], events, acme)).toMatchObject({
      agrees: true,
      onlyInTrail: [],
      housekeeping: [{ operation: 'GetKeyPolicy' }],
    });
    const foreign = events.map((event) =>
      (event as Line)['eventName'] === 'GetKeyPolicy'
        ? { ...event, userIdentity: { type: 'AWSAccount', principalId: 'x', accountId: '444455556666' } }
        : event,
    );
    expect(await reconcile([line], foreign, acme)).toMatchObject({ agrees: false, housekeeping: [] });
  });
});

describe('calls only in the audit log', () => {
  test('include a successful call without an event', async () => {
    const lines = [await fixture.generate(key, contextOf('acme')), await fixture.generate(key, contextOf('acme'))];
    expect(await reconcile(lines, trail().slice(1), acme)).toMatchObject({
      agrees: false,
      matched: 1,
      ...NOTHING,
      onlyInAudit: [{ requestId: lines[0]?.['requestId'] }],
    });
  });

  test('include a second line with the same request id', async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    const forged = { ...line, job: 'j2' };
    expect(await reconcile([line, forged], trail(), acme)).toMatchObject({
      agrees: false,
      matched: 1,
      onlyInAudit: [{ job: 'j2' }],
    });
  });

  test('exclude denied calls: AWS does not log every one', async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    fixture.kms.faults.set({ match: { key }, fault: KMS_ERRORS.throttled });
    const throttled = await fixture.generate(key, contextOf('acme'));
    const denied = { ...line, result: 'AccessDeniedException', requestId: 'logged-in-our-own-account' };
    expect(await reconcile([line, throttled, denied], trail(), acme)).toMatchObject({
      agrees: true,
      matched: 1,
      refused: [{ result: 'AccessDeniedException' }, { result: 'ThrottlingException' }],
    });
  });
});

describe('a different call is reported with both sides', () => {
  test.each([
    ['operation', { operation: 'Decrypt' }, 'Decrypt', 'GenerateDataKey'],
    ['period', { period: '2026-11-30T01:17Z' }, '2026-11-30T01:17Z', '2026-11-30T00:17Z'],
    ['purpose', { purpose: 'intake' }, 'intake', 'documents'],
    ['result', { result: 'DisabledException' }, 'DisabledException', 'ok'],
  ] as const)('if its %s differs', async (what, change, audit, inTrail) => {
    const good = await fixture.generate(key, contextOf('acme'));
    const line = await fixture.generate(key, contextOf('acme'));
    expect(await reconcile([good, { ...line, ...change }], trail(), acme)).toMatchObject({
      agrees: false,
      matched: 1,
      ...NOTHING,
      different: [{ differences: [{ what, audit, trail: inTrail }] }],
    });
  });

  test('if its key, tenant, time or other context differs', async () => {
    const other = fixture.kms.createKey();
    const line = await fixture.generate(other, { ...contextOf('globex'), more: 'x' } as never);
    const late = new Date(Date.parse(String(line['time'])) - 3_600_000).toISOString();
    const { more: _, ...expected } = { ...line, tenant: 'acme', key, time: late } as Line;
    const { different } = await reconcile([expected], trail(), acme);
    expect(different[0]?.differences.map(({ what, audit, trail }) => [what, audit, trail])).toEqual([
      ['key', key, other],
      ['tenant', 'acme', 'globex'],
      ['more', 'none', 'x'],
      ['time', late, expect.any(String)],
    ]);
  });
});

describe('calls without a response', () => {
  /** Sent, with a lost response. */
  const lost = (line: Line): Line => ({ ...line, result: 'unanswered', requestId: undefined });

  test('match a similar event of that time, each one once', async () => {
    const lines = [await fixture.generate(key, contextOf('acme')), await fixture.generate(key, contextOf('acme'))];
    const [first, second, third] = [lost(lines[0]!), lost(lines[1]!), { ...lost(lines[1]!), job: 'j3' }];
    expect(await reconcile([first, second, third], trail(), acme)).toMatchObject({
      agrees: true,
      matched: 2,
      ...NOTHING,
      unansweredInTrail: 2,
      unanswered: [{ job: 'j3' }],
    });
  });

  test.each([
    ['another operation', { operation: 'Decrypt' }],
    ['another period', { period: '2026-11-30T01:17Z' }],
    ['another time', { time: '2020-01-01T00:00:00.000Z' }],
  ])('do not match %s', async (_, change) => {
    const good = await fixture.generate(key, contextOf('acme'));
    const line = { ...lost(await fixture.generate(key, contextOf('acme'))), ...change };
    expect(await reconcile([good, line], trail(), acme)).toMatchObject({
      agrees: false,
      matched: 1,
      unanswered: [{ result: 'unanswered' }],
      onlyInTrail: [{ operation: 'GenerateDataKey' }],
    });
  });
});

describe('a time range', () => {
  const MINUTE = 60_000;

  test('leaves out earlier and later calls on both sides, and separates no pair', async () => {
    const line = await fixture.generate(key, contextOf('acme'));
    const [event] = trail() as Line[];
    const at = Date.parse(String(event?.['eventTime']));
    const moved = (ms: number, id: string): [Line, Line] => [
      { ...line, requestId: id, time: new Date(at + ms).toISOString() },
      { ...event, requestID: id, eventID: id, eventTime: new Date(at + ms).toISOString() },
    ];
    const [early, within, late] = [moved(-60 * MINUTE, 'a'), moved(0, 'b'), moved(60 * MINUTE, 'c')];
    // The line just inside, its event just outside.
    const edge: [Line, Line] = [moved(10 * MINUTE - 1, 'd')[0], moved(10 * MINUTE, 'd')[1]];
    const query = { ...acme, from: at - 10 * MINUTE, to: at + 10 * MINUTE };
    const lines = [within[0], edge[0], late[0]];
    expect(await reconcile(lines, [early[1], within[1], edge[1]], query)).toMatchObject({
      agrees: true,
      matched: 2,
      ...NOTHING,
      audit: { count: 2, outside: 1 },
      trail: { count: 2, outside: 1 },
    });
    expect(await reconcile(lines, [early[1], within[1], edge[1]], acme)).toMatchObject({
      agrees: false,
      onlyInAudit: [{ requestId: 'c' }],
      onlyInTrail: [{ requestId: 'a' }],
    });
  });
});
