// What the local KMS logs of its calls, in CloudTrail's form: in memory, and in a file when asked. Never carries out a call.
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ACCOUNT, type Caller } from '../iam/caller.ts';
import type { KmsCall } from './calls.ts';
import type { KmsError } from './errors.ts';
import type { Input } from './input.ts';

/** One event, with the members that CloudTrail gives those of KMS. */
export interface TrailRecord extends Readonly<Record<string, unknown>> {
  readonly eventName: string;
  readonly requestID: string;
  readonly eventID: string;
  readonly recipientAccountId: string;
}

export interface TrailCall extends KmsCall {
  readonly input: Input;
  readonly requestId: string;
  readonly caller: Caller;
  readonly sourceIp: string;
  readonly userAgent: string;
  /** Why KMS refused it. */
  readonly refusal?: KmsError;
}

const MOST_RECORDS = 20_000;
const LARGEST_FILE_BYTES = 10_000_000;

/**
 * Not logged: what is refused before KMS knows the caller and the call, and what it throttles. AWS promises a record of
 * every call that worked, and of those that failed "in some scenarios" only.
 */
const UNLOGGED: ReadonlySet<string> = new Set([
  'ThrottlingException',
  'UnknownOperationException',
  'SerializationException',
  'RequestEntityTooLargeException',
  'MissingAuthenticationTokenException',
  'ExpiredTokenException',
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'IncompleteSignature',
  'RequestTimeTooSkewed',
]);

const READ_ONLY =
  /^(?:Describe|Get|List|GenerateDataKey(?:WithoutPlaintext)?$|GenerateRandom$|Encrypt$|Decrypt$|ReEncrypt$)/;

export class Trail {
  readonly #region: string;
  readonly #file: string | undefined;
  #records: TrailRecord[] = [];

  constructor(region: string, file?: string) {
    this.#region = region;
    this.#file = file;
    if (file !== undefined) mkdirSync(dirname(file), { recursive: true });
  }

  add(call: TrailCall): void {
    if (call.refusal !== undefined && UNLOGGED.has(call.refusal.name)) return;
    const records = recordsOf(call, this.#region);
    this.#records.push(...records);
    if (this.#records.length >= 2 * MOST_RECORDS) this.#records = this.#records.slice(-MOST_RECORDS);
    if (this.#file !== undefined) append(this.#file, records);
  }

  /** The newest events of one account, oldest first; of the keys' own account unless said otherwise. */
  of(account = ACCOUNT): TrailRecord[] {
    return this.#records.filter((record) => record.recipientAccountId === account).slice(-MOST_RECORDS);
  }
}

/** CloudTrail has its own word for this one. */
const errorOf = ({ name, message }: KmsError): object => ({
  errorCode: name === 'AccessDeniedException' ? 'AccessDenied' : name,
  ...(message === '' ? {} : { errorMessage: message }),
});

const resourceOf = (arn: string): object => ({
  accountId: arn.split(':')[4] ?? ACCOUNT,
  type: 'AWS::KMS::Key',
  ARN: arn,
});

/** For the account that called and for that of the key; the latter hears nothing of calls that were denied to others. */
function recordsOf(call: TrailCall, region: string): TrailRecord[] {
  const isDenied = call.refusal?.name === 'AccessDeniedException';
  const isForeign = call.caller.account !== ACCOUNT;
  const shared = isForeign && !isDenied ? { sharedEventID: randomUUID() } : {};
  const recipients = isForeign && isDenied ? [call.caller.account] : [...new Set([call.caller.account, ACCOUNT])];
  return recipients.map((recipient) => ({
    eventVersion: '1.11',
    userIdentity: identityOf(call.caller, recipient),
    eventTime: new Date(Date.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
    eventSource: 'kms.amazonaws.com',
    eventName: call.operation,
    awsRegion: region,
    sourceIPAddress: call.sourceIp,
    userAgent: call.userAgent,
    ...(call.refusal === undefined ? {} : errorOf(call.refusal)),
    requestParameters: isDenied ? null : parametersOf(call),
    responseElements: null,
    requestID: call.requestId,
    eventID: randomUUID(),
    readOnly: READ_ONLY.test(call.operation),
    ...(isDenied || call.keys.length === 0 ? {} : { resources: call.keys.map(resourceOf) }),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: recipient,
    ...shared,
    eventCategory: 'Management',
  }));
}

/** Another account is told whose caller it was, and no name. */
function identityOf({ arn, account, principalArn }: Caller, recipient: string): object {
  const principalId = arn.split('/').slice(1).join(':');
  if (recipient !== account) return { type: 'AWSAccount', principalId, accountId: account };
  return { type: principalArn.includes(':user/') ? 'IAMUser' : 'AssumedRole', principalId, arn, accountId: account };
}

/** No plaintext, no ciphertext, no policy. */
const LOGGED_MEMBERS: Readonly<Record<string, string>> = {
  KeyId: 'keyId',
  KeySpec: 'keySpec',
  NumberOfBytes: 'numberOfBytes',
  EncryptionContext: 'encryptionContext',
  SourceKeyId: 'sourceKeyId',
  SourceEncryptionContext: 'sourceEncryptionContext',
  DestinationKeyId: 'destinationKeyId',
  DestinationEncryptionContext: 'destinationEncryptionContext',
  PendingWindowInDays: 'pendingWindowInDays',
  DryRun: 'dryRun',
};

const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  Encrypt: ['encryptionAlgorithm'],
  Decrypt: ['encryptionAlgorithm'],
  ReEncrypt: ['sourceEncryptionAlgorithm', 'destinationEncryptionAlgorithm'],
};

function parametersOf({ operation, input }: TrailCall): object | null {
  const given = Object.entries(LOGGED_MEMBERS).filter(([member]) => input[member] !== undefined);
  const algorithms = (ALGORITHMS[operation] ?? []).map((name) => [name, 'SYMMETRIC_DEFAULT']);
  const all = Object.fromEntries([...algorithms, ...given.map(([member, name]) => [name, input[member]])]) as object;
  return Object.keys(all).length === 0 ? null : all;
}

/** The file of before is kept once. */
function append(file: string, records: readonly TrailRecord[]): void {
  const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size + text.length > LARGEST_FILE_BYTES) renameSync(file, file.replace(/(\.\w+)?$/, '.1$1'));
  appendFileSync(file, text, { mode: 0o600 });
}
