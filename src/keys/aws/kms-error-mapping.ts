// What an error of KMS means, by the tables of kms-errors.ts. Nothing here calls KMS.
// Classified by name, never by status (faults travel as HTTP 400); AccessDenied, Throttling and Validation have no class in the SDK.
import { SealdexError } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/fault.ts';
import { KEY_STATE_TABLE, KMS_ERROR_TABLE, type KeyStateRow, type KmsErrorRow } from './kms-errors.ts';

/** The KMS key that a call was for. */
export interface RequestedKey {
  readonly arn: string;
  readonly isPlatformKey: boolean;
}

/** What DescribeKey told of a key that was refused by its state; empty when it told nothing. */
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

/** Codes of the operating system, of undici, and of TLS; not those of Node's own argument checks, ERR_INVALID_... */
const NETWORK = /^(E(?!RR_)[A-Z0-9_]+|UND_ERR_[A-Z_]+|ERR_(TLS|SSL)_[A-Z_]+|[A-Z_]*(CERT|SIGNATURE)[A-Z_]*)$/;

export const needsState = (error: unknown): boolean => rowOf(error).state !== undefined;

export const isThrottled = (error: unknown): boolean => rowOf(error) === KMS_ERROR_TABLE.throttled;

/** KMS' id of the request; undefined when it gave no answer. */
export const requestIdOf = (error: unknown): string | undefined =>
  (error as { $metadata?: { requestId?: string } } | undefined)?.$metadata?.requestId;

/** A state that AWS invents later passes by itself, or lasts as a failure does. */
const stateRowOf = (state: string): KeyStateRow => STATES.get(state) ?? KEY_STATE_TABLE.other;

/** `told` is what DescribeKey told when the error speaks of the key's state. */
export function kmsFault(
  error: unknown,
  { arn, isPlatformKey }: RequestedKey,
  told: DescribedState = {},
): SealdexError {
  if (error instanceof SealdexError) return error;
  // A name is the server's text until it is one of ours: one that is no name is not repeated.
  const reason = error instanceof Error ? nameOf(error, 'Unknown') : 'Unknown';
  const { state, deniedBy, ...row } = rowOf(error);
  const { tenant, platform } = state === undefined ? row : stateRowOf(told.state ?? stateIn(error) ?? state);
  return new SealdexError(isPlatformKey ? platform : tenant, undefined, {
    reason,
    cause: error,
    requestId: requestIdOf(error),
    keyArn: arn,
    ...(deniedBy === undefined ? {} : { deniedBy: isPlatformKey ? 'operator' : deniedBy }),
    ...(told.deletesAt === undefined ? {} : { deletesAt: told.deletesAt }),
  });
}

/** When DescribeKey is denied too, the first error's own text is all there is. */
function stateIn(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : '';
  return [...STATES].find(([, { says }]) => says?.test(text))?.[0];
}

function rowOf(error: unknown): KmsErrorRow {
  if (!(error instanceof Error)) return KMS_ERROR_TABLE.unknown;
  const byName = ROWS_BY_NAME.get(error.name)?.find(({ says }) => says?.test(error.message) ?? true);
  if (byName) return byName;
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const isNetwork = typeof code === 'string' && NETWORK.test(code);
  const hasFailed = isNetwork || ($metadata?.httpStatusCode ?? 0) >= 500;
  return hasFailed ? KMS_ERROR_TABLE.failed : KMS_ERROR_TABLE.unknown;
}
