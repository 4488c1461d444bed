// CloudTrail events in the forms of its exports, and malformed input.
import { expect, test } from 'vitest';
import { eventsOf, type OtherEvent, type TrailEvent } from '../../src/audit/cloudtrail.ts';

const KEY = 'arn:aws:kms:us-west-2:111122223333:key/1';
const EVENT = {
  eventVersion: '1.11',
  userIdentity: { type: 'AssumedRole', arn: 'arn:aws:sts::111122223333:assumed-role/r/s', accountId: '111122223333' },
  eventTime: '2026-11-30T00:39:06Z',
  eventSource: 'kms.amazonaws.com',
  eventName: 'Decrypt',
  sourceIPAddress: '192.0.2.0',
  requestParameters: { encryptionAlgorithm: 'SYMMETRIC_DEFAULT', keyId: KEY, encryptionContext: { tenant: 'acme' } },
  responseElements: null,
  requestID: 'r1',
  eventID: 'e1',
  resources: [{ accountId: '111122223333', type: 'AWS::KMS::Key', ARN: KEY }],
  recipientAccountId: '111122223333',
};
const READ = {
  id: 'e1',
  at: Date.parse('2026-11-30T00:39:06Z'),
  operation: 'Decrypt',
  keys: [KEY],
  contexts: [{ tenant: 'acme' }],
  hasParameters: true,
  result: 'ok',
  principal: 'arn:aws:sts::111122223333:assumed-role/r/s',
  requestId: 'r1',
  callerAccount: '111122223333',
  sourceIp: '192.0.2.0',
  account: '111122223333',
};

async function read(text: string): Promise<(TrailEvent | OtherEvent)[]> {
  async function* stream(): AsyncGenerator<Buffer> {
    yield Buffer.from(text);
  }
  return Array.fromAsync(eventsOf(stream()));
}

test.each([
  ['a log file', { Records: [EVENT] }],
  [
    'events from lookup-events',
    { Events: [{ EventId: 'e1', EventName: 'Decrypt', CloudTrailEvent: JSON.stringify(EVENT) }] },
  ],
  ['a list of events from lookup-events', [{ CloudTrailEvent: JSON.stringify(EVENT) }]],
  ['a single event', EVENT],
])('a call is read from %s', async (_, document) => {
  expect(await read(JSON.stringify(document))).toEqual([READ]);
});

test('an event of another service has its time read; a digest is ignored', async () => {
  const other = { ...EVENT, eventSource: 's3.amazonaws.com' };
  const insight = { ...EVENT, eventCategory: 'Insight' };
  const digest = { awsAccountId: '111122223333', digestStartTime: '2026-11-30T00:00:00Z', logFiles: [] };
  expect(await read([other, insight, digest].map((each) => JSON.stringify(each)).join('\n'))).toEqual([
    { at: READ.at },
    { at: READ.at },
  ]);
});

test("a denied call is read with AWS' other error code, without parameters, and with the account as its only caller", async () => {
  const denied = {
    ...EVENT,
    userIdentity: { type: 'AWSAccount', principalId: 'AROA:s', accountId: '444455556666' },
    errorCode: 'AccessDenied',
    errorMessage: 'no',
    requestParameters: null,
    resources: undefined,
  };
  expect(await read(JSON.stringify(denied))).toMatchObject([
    {
      result: 'AccessDeniedException',
      message: 'no',
      keys: [],
      hasParameters: false,
      principal: 'AROA:s of account 444455556666',
    },
  ]);
});

test('keys in the parameters are read as full ARNs', async () => {
  const { resources: _, ...bare } = EVENT;
  const reEncrypt = { ...bare, requestParameters: { sourceKeyId: KEY, destinationKeyId: 'alias/other' } };
  expect(await read(JSON.stringify(reEncrypt))).toMatchObject([{ keys: [KEY], contexts: [] }]);
});

test.each([
  ['text', 'hello', 'is not a CloudTrail file'],
  ['objects other than events', '{"audit":1}', 'is not a CloudTrail file'],
  ['almost JSON', '{"Records":[{"a":}]}', 'is not valid JSON'],
  ['an event of KMS without an id', JSON.stringify({ ...EVENT, eventID: 7 }), 'contains an unsupported KMS event'],
  ['half of a file', JSON.stringify({ Records: [EVENT] }).slice(0, -5), 'ends in the middle: fetch it again'],
])('malformed input is an error: %s', async (_, text, fault) => {
  await expect(read(text)).rejects.toThrow(fault);
});
