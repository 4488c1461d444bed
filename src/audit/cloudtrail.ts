// CloudTrail events: parses events of KMS calls from all formats in which events are exported.
import { z } from 'zod';
import { objectsOf, TrailFormatError } from './objects.ts';

export interface TrailEvent {
  /** The same in the trails of both accounts of a call, and in overlapping exports. */
  readonly id: string;
  /** Wall clock in milliseconds, rounded to seconds: when KMS responded. */
  readonly at: number;
  readonly operation: string;
  readonly requestId?: string;
  /** Full ARNs; empty if KMS denied the call without naming the key. */
  readonly keys: readonly string[];
  /** Encryption contexts; a ReEncrypt call has two. */
  readonly contexts: readonly Readonly<Record<string, string>>[];
  /** False for denied calls, which have no parameters to compare. */
  readonly hasParameters: boolean;
  /** `ok` or the AWS error name. */
  readonly result: string;
  /** Error message of KMS; it names the key of a denied call. */
  readonly message?: string;
  /** ARN of the caller; for a caller of another account its id and account. */
  readonly principal: string;
  readonly callerAccount?: string;
  readonly sourceIp?: string;
  /** Account of the trail. */
  readonly account?: string;
}

/** An event of another service; only its time is used. */
export interface OtherEvent {
  readonly at: number;
}

const maybe = z.string().nullish();
/** A hidden or malformed context counts as none; the comparison reports the difference. */
const context = z.record(z.string(), z.string()).nullish().catch(null);

const parameters = z
  .object({
    keyId: maybe,
    sourceKeyId: maybe,
    destinationKeyId: maybe,
    encryptionContext: context,
    sourceEncryptionContext: context,
    destinationEncryptionContext: context,
  })
  .nullish();

const event = z.object({
  eventTime: z.iso.datetime({ offset: true }).transform((at) => Date.parse(at)),
  eventName: z.string(),
  eventID: z.string(),
  sharedEventID: maybe,
  requestID: maybe,
  errorCode: maybe,
  errorMessage: maybe,
  sourceIPAddress: maybe,
  recipientAccountId: maybe,
  userIdentity: z.object({ arn: maybe, principalId: maybe, accountId: maybe, invokedBy: maybe, type: maybe }).nullish(),
  requestParameters: parameters,
  resources: z.array(z.object({ ARN: maybe })).nullish(),
});

const anyEvent = z.object({
  eventTime: event.shape.eventTime,
  eventSource: z.string(),
  eventName: z.string(),
  eventCategory: maybe,
});

/** An entry of `aws cloudtrail lookup-events`, with the event as text. */
const lookupEntry = z.object({ CloudTrailEvent: z.string() });
/** A digest file beside the log files. */
const digest = z.object({ digestStartTime: z.string() });

/** @throws TrailFormatError for any other content, or a truncated file */
export async function* eventsOf(stream: AsyncIterable<Buffer>): AsyncGenerator<TrailEvent | OtherEvent> {
  for await (const text of objectsOf(stream)) {
    const found = parsed(text);
    const entry = lookupEntry.safeParse(found);
    const value = entry.success ? parsed(entry.data.CloudTrailEvent) : found;
    const any = anyEvent.safeParse(value);
    if (!any.success && digest.safeParse(value).success) continue;
    if (!any.success) throw new TrailFormatError('is not a CloudTrail file');
    const { eventSource, eventTime, eventCategory } = any.data;
    if (eventSource !== 'kms.amazonaws.com' || eventCategory === 'Insight') yield { at: eventTime };
    else yield kmsEventOf(value);
  }
}

export const isOfKms = (event: TrailEvent | OtherEvent): event is TrailEvent => 'operation' in event;

const isKey = (arn: string | null | undefined): arn is string => /^arn:[^:]+:kms:[^:]*:[^:]*:key\//.test(arn ?? '');

/** CloudTrail uses AccessDenied for the SDK's AccessDeniedException. */
const resultOf = (errorCode: string | null | undefined): string =>
  !errorCode ? 'ok' : errorCode === 'AccessDenied' ? 'AccessDeniedException' : errorCode;

const given = <N extends string>(name: N, value: string | null | undefined): { [name in N]?: string } =>
  (value ? { [name]: value } : {}) as { [name in N]?: string };

function kmsEventOf(value: unknown): TrailEvent {
  const read = event.safeParse(value);
  if (!read.success) throw new TrailFormatError('contains an unsupported KMS event');
  const { userIdentity, requestParameters, resources, errorMessage, requestID, sourceIPAddress, recipientAccountId } =
    read.data;
  const { keyId, sourceKeyId, destinationKeyId } = requestParameters ?? {};
  const named = (resources ?? []).map(({ ARN }) => ARN);
  const keys = named.some(isKey) ? named : [keyId, sourceKeyId, destinationKeyId];
  const contexts = [
    requestParameters?.encryptionContext,
    requestParameters?.sourceEncryptionContext,
    requestParameters?.destinationEncryptionContext,
  ];
  return {
    id: read.data.sharedEventID ?? read.data.eventID,
    at: read.data.eventTime,
    operation: read.data.eventName,
    keys: keys.filter(isKey),
    contexts: contexts.flatMap((each) => (each ? [each] : [])),
    hasParameters: requestParameters !== undefined && requestParameters !== null,
    result: resultOf(read.data.errorCode),
    principal: principalOf(userIdentity ?? {}),
    ...given('requestId', requestID),
    ...given('message', errorMessage),
    ...given('callerAccount', userIdentity?.accountId),
    ...given('sourceIp', sourceIPAddress),
    ...given('account', recipientAccountId),
  };
}

type Identity = NonNullable<z.infer<typeof event>['userIdentity']>;

/** CloudTrail hides the ARN of a caller of another account from the key owner. */
function principalOf({ arn, principalId, accountId, invokedBy, type }: Partial<Identity>): string {
  if (arn) return arn;
  const caller = principalId ?? invokedBy ?? type ?? 'unknown caller';
  return accountId ? `${caller} of account ${accountId}` : caller;
}

/** Drops the message of JSON.parse: its positions are useless without the text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new TrailFormatError('is not valid JSON');
  }
}
