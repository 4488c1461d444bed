// Finds the data key of a message: checks the tenant and the ARN in its header, then unwraps with that KMS key. The ARN must be a
// current or former key of the tenant.
import { SealdexError } from '../runtime/errors.ts';
import { keyRef } from '../runtime/key-ref.ts';
import { periodEnd, type DataKey, type KeyContext } from './data-key.ts';
import type { KeyRing } from './key-ring.ts';

/** The unauthenticated header of a message. */
export interface NamedKey {
  readonly arn: string;
  readonly wrapped: Uint8Array;
  readonly context: Readonly<Record<string, string>>;
}

export interface Allowed {
  readonly tenant: string;
  readonly readableArns: ReadonlySet<string>;
  /** Those that an operator has blocked. */
  readonly blocked: ReadonlyMap<string, { readonly since: number }>;
  /** Platform keys for the intake content of jobs; none for stored objects. */
  readonly intakeArns?: ReadonlySet<string>;
}

/**
 * Returns the unwrapping function of a reader of messages.
 * It throws SealdexError `OBJECT_TAMPERED` with reason `context` or `foreign-key`; `KEY_BLOCKED`; those of KMS.
 */
export function unwrapFor(ring: KeyRing, allowed: Allowed): (named: NamedKey) => Promise<DataKey> {
  return async ({ arn, wrapped, context }) => {
    if (!isContextOf(context, allowed.tenant))
      throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'context' });
    const arns = context.purpose === 'documents' ? allowed.readableArns : allowed.intakeArns;
    if (!arns) throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'context' });
    if (!arns.has(arn)) throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'foreign-key' });
    const block = context.purpose === 'documents' ? allowed.blocked.get(arn) : undefined;
    if (block) throw new SealdexError('KEY_BLOCKED', undefined, { keyArn: arn, since: block.since });
    return ring.unwrap(keyRef(allowed.tenant, arn), wrapped, context);
  };
}

function isContextOf(context: Readonly<Record<string, string>>, tenant: string): context is KeyContext {
  const { period = '', purpose } = context;
  return (
    Object.keys(context).length === 3 &&
    context['tenant'] === tenant &&
    (purpose === 'documents' || purpose === 'intake') &&
    periodEnd(period) !== undefined
  );
}
