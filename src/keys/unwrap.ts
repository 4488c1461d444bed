// Which data key opens a message: checks who the message says it belongs to, then unwraps by the KMS key it names.
// Never a search for keys: the ARN must be one that the tenant has or had.
import { SealdexError } from '../runtime/errors.ts';
import { keyRef } from '../runtime/key-ref.ts';
import { periodEnd, type DataKey, type KeyContext } from './data-key.ts';
import type { KeyRing } from './key-ring.ts';

/** What a message's header says before anything is decrypted. */
export interface NamedKey {
  readonly arn: string;
  readonly wrapped: Uint8Array;
  readonly context: Readonly<Record<string, string>>;
}

export interface Allowed {
  readonly tenant: string;
  readonly readableArns: ReadonlySet<string>;
  /** Of those, the ones that the operator has blocked. */
  readonly blocked: ReadonlyMap<string, { readonly since: number }>;
  /** Platform keys that a job's content may wait under; none for what is stored. */
  readonly intakeArns?: ReadonlySet<string>;
}

/**
 * The unwrapping step of a reader of messages.
 * @throws SealdexError `OBJECT_TAMPERED` with reason `context` or `foreign-key`; `KEY_BLOCKED`; those of KMS
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
