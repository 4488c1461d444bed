// What CloudTrail says of calls to KMS: an event as it is compared, from any of the forms in which events are exported.
// Which tenant an event concerns is not decided here.
import { z } from 'zod';
import { objectsOf, TrailFormatError } from './objects.ts';

export interface TrailEvent {
  /** The same in the trails of both accounts of a call, and in exports that overlap. */
  readonly id: string;
  /** Wall clock, whole seconds in milliseconds: when KMS had answered. */
  readonly at: number;
  readonly operation: string;
  readonly requestId?: string;
  /** Full ARNs; none where KMS refused without telling. */
  readonly keys: readonly string[];
  /** Encryption contexts; a re-encryption has two. */
  readonly contexts: readonly Readonly<Record<string, string>>[];
  /** Denied calls have none, and so nothing to compare. */
  readonly hasParameters: boolean;
  /** `ok` or the name of AWS' error. */
  readonly result: string;
  /** What KMS said when it refused: it names the key of a denied call. */
  readonly message?: string;
  /** Who called: an ARN, or of another account's callers their id and account. */
  readonly principal: string;
  readonly callerAccount?: string;
  readonly sourceIp?: string;
  /** Whose trail the event is from. */
  readonly account?: string;
}

/** An event of a service that is not KMS: only its time is of interest. */
export interface OtherEvent {
  readonly at: number;
}

const maybe = z.string().nullish();
/** One that is hidden or no map is as good as none: the comparison names it. */
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

/** One of `aws cloudtrail lookup-events`, whose event is text. */
const lookedUp = z.object({ CloudTrailEvent: z.string() });
/** Of the digests that stand beside the log files. */
const digest = z.object({ digestStartTime: z.string() });

/** @throws TrailFormatError when something else is met, or a file ends too early */
export async function* eventsOf(stream: AsyncIterable<Buffer>): AsyncGenerator<TrailEvent | OtherEvent> {
  for await (const text of objectsOf(stream)) {
    const found = parsed(text);
    const asked = lookedUp.safeParse(found);
    const value = asked.success ? parsed(asked.data.CloudTrailEvent) : found;
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

/** What the SDK calls AccessDeniedException is AccessDenied in CloudTrail. */
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

/** The owner of a key is not told the names of another account's callers. */
function principalOf({ arn, principalId, accountId, invokedBy, type }: Partial<Identity>): string {
  if (arn) return arn;
  const who = principalId ?? invokedBy ?? type ?? 'somebody';
  return accountId ? `${who} of account ${accountId}` : who;
}

/** Positions in a text that is not quoted are of no use to anybody. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new TrailFormatError('is not valid JSON');
  }
}
