// Which data key opens a message: checks who the message says it belongs to, then unwraps by the KMS key it names.
// Never a search for keys: the ARN must be one that the tenant has or had.
import { SealdexError } from '../errors.ts';
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
}

/**
 * The unwrapping step of a reader of messages.
 * @throws SealdexError `OBJECT_TAMPERED` with reason `context` or `foreign-key`; those of KMS
 */
export function unwrapFor(ring: KeyRing, allowed: Allowed): (named: NamedKey) => Promise<DataKey> {
  return async ({ arn, wrapped, context }) => {
    if (!isContextOf(context, allowed.tenant))
      throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'context' });
    if (!allowed.readableArns.has(arn)) throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'foreign-key' });
    return ring.unwrap(arn, wrapped, context);
  };
}

function isContextOf(context: Readonly<Record<string, string>>, tenant: string): context is KeyContext {
  const { period = '', purpose } = context;
  return (
    Object.keys(context).length === 3 &&
    context['tenant'] === tenant &&
    purpose === 'documents' &&
    periodEnd(period) !== undefined
  );
}
