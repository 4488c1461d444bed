// Maps KMS errors to SealdexError by the tables of kms-errors.ts. Calls no KMS.
// Classified by name, not by HTTP status: most errors have status 400. AccessDenied, Throttling and Validation have no SDK class.
import { SealdexError } from '../../runtime/errors.ts';
import { nameOf, networkNameOf } from '../../runtime/fault.ts';
import { KEY_STATE_TABLE, KMS_ERROR_TABLE, type KeyStateRow, type KmsErrorRow } from './kms-errors.ts';

/** The KMS key of a call. */
export interface RequestedKey {
  readonly arn: string;
  readonly isPlatformKey: boolean;
}

/** Result of DescribeKey for a key that KMS rejected because of its state. Empty if that call failed. */
export interface DescribedState {
  readonly state?: string | undefined;
  /** Wall clock, milliseconds. */
  readonly deletesAt?: number | undefined;
}

const STATES: ReadonlyMap<string, KeyStateRow> = new Map(Object.entries(KEY_STATE_TABLE));

const ROWS_BY_NAME = new Map<string, KmsErrorRow[]>();
for (const row of Object.values<KmsErrorRow>(KMS_ERROR_TABLE)) {
  for (const name of row.names) ROWS_BY_NAME.set(name, [...(ROWS_BY_NAME.get(name) ?? []), row]);
}

/** Error codes of the operating system, undici and TLS. Excludes those of Node's argument checks, such as ERR_INVALID_ARG_TYPE. */
const NETWORK = /^(E(?!RR_)[A-Z0-9_]+|UND_ERR_[A-Z_]+|ERR_(TLS|SSL)_[A-Z_]+|[A-Z_]*(CERT|SIGNATURE)[A-Z_]*)$/;

export const needsState = (error: unknown): boolean => rowOf(error).state !== undefined;

export const isThrottled = (error: unknown): boolean => rowOf(error) === KMS_ERROR_TABLE.throttled;

/** The AWS request id. Undefined if there was no response. */
export const requestIdOf = (error: unknown): string | undefined =>
  (error as { $metadata?: { requestId?: string } } | undefined)?.$metadata?.requestId;

/** A state that AWS adds later is retried, like a failure of KMS. */
const stateRowOf = (state: string): KeyStateRow => STATES.get(state) ?? KEY_STATE_TABLE.other;

/** @param described Result of DescribeKey, for errors that depend on the key state */
export function kmsFault(
  error: unknown,
  { arn, isPlatformKey }: RequestedKey,
  described: DescribedState = {},
): SealdexError {
  if (error instanceof SealdexError) return error;
  // The name comes from the server: text that is not an identifier must not reach logs.
  const name = error instanceof Error ? nameOf(error, 'Unknown') : 'Unknown';
  const reason = networkNameOf(name, (error as NodeJS.ErrnoException | undefined)?.code);
  const { state, deniedBy, ...row } = rowOf(error);
  const { tenant, platform } = state === undefined ? row : stateRowOf(described.state ?? stateIn(error) ?? state);
  return new SealdexError(isPlatformKey ? platform : tenant, undefined, {
    reason,
    cause: error,
    requestId: requestIdOf(error),
    keyArn: arn,
    ...(deniedBy === undefined ? {} : { deniedBy: isPlatformKey ? 'operator' : deniedBy }),
    ...(described.deletesAt === undefined ? {} : { deletesAt: described.deletesAt }),
  });
}

/** Used if DescribeKey is denied too: then only the message of the first error gives the state. */
function stateIn(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : '';
  return [...STATES].find(([, { message }]) => message?.test(text))?.[0];
}

function rowOf(error: unknown): KmsErrorRow {
  if (!(error instanceof Error)) return KMS_ERROR_TABLE.unknown;
  const byName = ROWS_BY_NAME.get(error.name)?.find(({ message }) => message?.test(error.message) ?? true);
  if (byName) return byName;
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const isNetwork = typeof code === 'string' && NETWORK.test(code);
  const hasFailed = isNetwork || ($metadata?.httpStatusCode ?? 0) >= 500;
  return hasFailed ? KMS_ERROR_TABLE.failed : KMS_ERROR_TABLE.unknown;
}
