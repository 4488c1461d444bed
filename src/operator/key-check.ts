// Whether a KMS key can serve a tenant: each step of onboarding with its verdict. Changes nothing.
import { SealdexError } from '../errors.ts';
import type { KeyDeps } from './keys.ts';

export interface KeyCheck {
  readonly tenant: string;
  readonly arn: string;
  readonly canAttach: boolean;
  readonly steps: readonly {
    readonly step: string;
    readonly verdict: 'ok' | 'warn' | 'fail';
    readonly saw: string;
    readonly todo?: string;
  }[];
}

/** @throws SealdexError of KMS when the key could not be checked */
export async function checkKey(
  { probing }: KeyDeps,
  tenant: string,
  arn: string,
  _options: { readonly shared?: boolean } = {},
): Promise<KeyCheck> {
  try {
    await probing.tryKey(tenant, arn);
    return { tenant, arn, canAttach: true, steps: [{ step: 'use', verdict: 'ok', saw: 'The key works.' }] };
  } catch (error) {
    if (!(error instanceof SealdexError)) throw error;
    return { tenant, arn, canAttach: false, steps: [{ step: 'use', verdict: 'fail', saw: error.message }] };
  }
}
