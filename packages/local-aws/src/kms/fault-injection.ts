// Faults that a test can set on the local KMS, by key, operation, encryption context and number of calls.
import { FaultBook } from '../fault-injection.ts';
import type { KmsCall } from './calls.ts';
import { accessDenied, type DeniedBy, KmsError, MESSAGES, notFound } from './errors.ts';

export interface KmsMatch {
  /** ARN of the key. */
  readonly key?: string;
  readonly operation?: string | readonly string[];
  /** Pairs that an encryption context of the call must have, for example a period. */
  readonly context?: Readonly<Record<string, string>>;
}

export type KmsErrorFault =
  | { readonly kind: 'error'; readonly name: string; readonly message?: string; readonly status?: number }
  | { readonly kind: 'accessDenied'; readonly by: DeniedBy }
  | { readonly kind: 'notFound' };

export type KmsFault =
  | KmsErrorFault
  /** Does not respond until cleared; the call is then executed unless the connection has closed. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'latency'; readonly ms: number }
  /** `bad` calls fail, then `good` calls succeed, repeatedly; both 1 by default. */
  | { readonly kind: 'flapping'; readonly fault: KmsErrorFault; readonly bad?: number; readonly good?: number };

export type KmsFaults = Pick<FaultBook<KmsCall, KmsMatch, KmsFault>, 'set' | 'clear'>;

const named = (name: string): KmsErrorFault => Object.freeze({ kind: 'error', name });

/** Errors of KMS, for `faults.set`. */
export const KMS_ERRORS = Object.freeze({
  throttled: named('ThrottlingException'),
  internal: named('KMSInternalException'),
  dependencyTimeout: named('DependencyTimeoutException'),
  keyUnavailable: named('KeyUnavailableException'),
  expiredCredentials: named('ExpiredTokenException'),
  unknownCredentials: named('UnrecognizedClientException'),
  /** Denied by the key policy. */
  accessDenied: { kind: 'accessDenied', by: 'resource-based' },
  /** Denied by the caller's IAM policy. */
  accessDeniedByUs: { kind: 'accessDenied', by: 'identity-based' },
  notFound: { kind: 'notFound' },
} satisfies Record<string, KmsErrorFault>);

export const kmsFaultBook = (): FaultBook<KmsCall, KmsMatch, KmsFault> => new FaultBook(matches, spares);

function matches(match: KmsMatch, call: KmsCall): boolean {
  if (match.key !== undefined && !call.keys.includes(match.key)) return false;
  if (match.operation !== undefined && ![match.operation].flat().includes(call.operation)) return false;
  const pairs = Object.entries(match.context ?? {});
  return pairs.length === 0 || call.contexts.some((context) => pairs.every(([name, value]) => context[name] === value));
}

function spares(fault: KmsFault, seen: number): boolean {
  if (fault.kind !== 'flapping') return false;
  const bad = fault.bad ?? 1;
  return (seen - 1) % (bad + (fault.good ?? 1)) >= bad;
}

/** Makes the error of a fault, with the message that KMS returns for the call. */
export function errorOf(fault: KmsErrorFault, call: KmsCall): KmsError {
  const key = call.keys[0] ?? '*';
  if (fault.kind === 'accessDenied') return accessDenied(call.operation, key, fault.by);
  if (fault.kind === 'notFound') return notFound(key);
  return new KmsError(fault.name, fault.message ?? MESSAGES[fault.name] ?? '', fault.status ?? 400);
}
