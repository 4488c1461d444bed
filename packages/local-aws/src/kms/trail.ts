// CloudTrail events of the local KMS: kept in memory, and appended to a file if one is given.
import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ACCOUNT, type Caller } from '../iam/caller.ts';
import type { KmsCall } from './calls.ts';
import type { KmsError } from './errors.ts';
import type { Input } from './input.ts';

/** One event, with the members of CloudTrail's KMS events. */
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
  /** The error with which KMS rejected the call. */
  readonly refusal?: KmsError;
}

const MAX_RECORDS = 20_000;
const MAX_FILE_BYTES = 10_000_000;

/**
 * Not logged: calls that are rejected before KMS has identified caller and operation, and throttled calls. AWS guarantees an
 * event for every successful call, and for failed calls "in some scenarios" only.
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
    if (this.#records.length >= 2 * MAX_RECORDS) this.#records = this.#records.slice(-MAX_RECORDS);
    if (this.#file !== undefined) append(this.#file, records);
  }

  /** The newest events of one account, oldest first; by default of the keys' account. */
  of(account = ACCOUNT): TrailRecord[] {
    return this.#records.filter((record) => record.recipientAccountId === account).slice(-MAX_RECORDS);
  }
}

/** CloudTrail uses AccessDenied for AccessDeniedException. */
const errorOf = ({ name, message }: KmsError): object => ({
  errorCode: name === 'AccessDeniedException' ? 'AccessDenied' : name,
  ...(message === '' ? {} : { errorMessage: message }),
});

const resourceOf = (arn: string): object => ({
  accountId: arn.split(':')[4] ?? ACCOUNT,
  type: 'AWS::KMS::Key',
  ARN: arn,
});

/** Events for the caller's account and the key's account. The latter gets no event for a denied call of another account. */
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

/** For another account, without the name of the caller. */
function identityOf({ arn, account, principalArn }: Caller, recipient: string): object {
  const principalId = arn.split('/').slice(1).join(':');
  if (recipient !== account) return { type: 'AWSAccount', principalId, accountId: account };
  return { type: principalArn.includes(':user/') ? 'IAMUser' : 'AssumedRole', principalId, arn, accountId: account };
}

/** Excludes plaintext, ciphertext and policies. */
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

/** Rotates the file above the maximum size; one old file is kept. */
function append(file: string, records: readonly TrailRecord[]): void {
  const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size + text.length > MAX_FILE_BYTES) renameSync(file, file.replace(/(\.\w+)?$/, '.1$1'));
  appendFileSync(file, text, { mode: 0o600 });
}
