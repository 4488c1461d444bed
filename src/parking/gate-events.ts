// Gate events and effects: the inputs of the state machine, and the actions after a change. Types only.
import type { SealdexError } from '../runtime/errors.ts';
import type { OperatorStop } from '../tenants/operator-stop.ts';

export type GateEvent =
  /** A KMS call for a document failed with the state of the key, or with a denial. */
  | { readonly kind: 'keyFailed'; readonly error: SealdexError; readonly isCurrent: boolean }
  /** The tenant's file has a stop that applies to the key. */
  | { readonly kind: 'operatorStopped'; readonly stop: OperatorStop; readonly isCurrent: boolean }
  /** The tenant's file has no stop that applies to the key. */
  | { readonly kind: 'operatorStopLifted' }
  /** The operator opens the gate and lets KMS decide. */
  | { readonly kind: 'operatorReleased' }
  /** The key is the tenant's current one from now on. */
  | { readonly kind: 'keyAttached' }
  /** The key is not the tenant's current one any more, or the tenant is gone. */
  | { readonly kind: 'keyDetached' }
  /** GenerateDataKey and Decrypt succeeded. */
  | { readonly kind: 'probeSucceeded' }
  /** One of them failed with the state of the key, or with a denial. */
  | { readonly kind: 'probeFailed'; readonly error: SealdexError }
  /** One of them failed with an error that does not depend on the key: an outage, throttling. */
  | { readonly kind: 'probeInconclusive' }
  /** KMS has not found the key for 24 hours, while it finds the platform key. */
  | { readonly kind: 'keyGone'; readonly error: SealdexError }
  /** All jobs that were parked at the gate are released. `isDetached`: as `keyDetached`. */
  | { readonly kind: 'drained'; readonly isDetached: boolean }
  /** The release ended before all were released. */
  | { readonly kind: 'drainInterrupted' }
  /** The gate has been open for an hour. */
  | { readonly kind: 'openExpired' }
  /** The tenant is marked as deleted. Processes may use a cached copy of its file for `settledMs`. */
  | { readonly kind: 'tenantDeleted'; readonly at: number; readonly settledMs: number; readonly isCurrent: boolean }
  /** The last traces of a deleted tenant are removed. */
  | { readonly kind: 'tenantErased' };

export type GateEventKind = GateEvent['kind'];

export interface LogEffect {
  readonly kind: 'log';
  readonly level: 'info' | 'warn' | 'error';
  readonly facts: object;
  readonly message: string;
}

export type GateEffect =
  /** All processes receive the gate, or its removal, at once. */
  { readonly kind: 'publish' } | LogEffect;

/** What a gate needs once it is due, in this order. */
export type GateTask = 'expireParked' | 'probe' | 'releaseParked' | 'forget';
