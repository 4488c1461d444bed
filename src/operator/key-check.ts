// Check whether a KMS key can be attached to a tenant: by its ARN and KMS calls, then by the tenant files. Changes nothing.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { checkName, type OriginToAllow, type Plan } from '../runtime/names.ts';
import { checkSteps, type CheckStep, type KeyCheckDeps as KeyDeps } from '../keys/check.ts';
import { failed, passed, warning } from '../keys/check/step.ts';
import { isKeyArn } from '../runtime/key-arn.ts';
import type { TenantFile } from '../tenants/tenants.ts';
import { fileOf, tenantsOf, type KeyTenant, type KeyTenantsDeps } from './key-tenants.ts';

export type { CheckStep } from '../keys/check.ts';
export type { KeyStep } from '../keys/check/step.ts';

/** Result of the check whether a KMS key can be attached to a tenant. */
export interface KeyCheck {
  /** Name of the tenant. */
  readonly tenant: string;
  /** ARN of the KMS key. */
  readonly arn: string;
  /** True if no step failed. */
  readonly canAttach: boolean;
  /** The checks in the order in which they ran, each with status, observation and remedy. */
  readonly steps: readonly CheckStep[];
}

/** Options of `checkKey`. */
export interface KeyCheckOptions {
  /** Accepts a key that another tenant has or had. */
  readonly shared?: boolean | undefined;
  /** Plan of a tenant that does not exist yet. */
  readonly plan?: Plan | undefined;
  /** Accepts a key of this origin, which is outside KMS. */
  readonly allowOrigin?: OriginToAllow | undefined;
  /** Cancels the check, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with each step when it has ended. */
  readonly onStep?: (step: CheckStep) => void;
  /** @internal Called before each read of a tenant's file; an error that it throws ends the check. */
  readonly renewLease?: () => Promise<void>;
}

export interface KeyCheckDeps extends KeyDeps, KeyTenantsDeps {
  readonly config: Config;
  readonly clock: Clock;
}

export interface KeyCheckOperator {
  /**
   * Makes the real calls, and changes nothing.
   * @throws SealdexError `KMS_THROTTLED`, `KMS_FAILED`, `PLATFORM_CREDENTIALS`, `INTERNAL`, `STORE_FAILED`: the check has no
   * result; `DOCUMENT_INVALID` with field `tenant`
   */
  checkKey(tenant: string, arn: string, options?: KeyCheckOptions): Promise<KeyCheck>;
}

export const createKeyCheckOperator = (deps: KeyCheckDeps): KeyCheckOperator => ({
  checkKey: async (tenant, arn, options) => checkKey(deps, keyRef(checkName(tenant, 'tenant'), arn), options),
});

/** @throws as `KeyCheckOperator` */
export async function checkKey(deps: KeyCheckDeps, key: KeyRef, options: KeyCheckOptions = {}): Promise<KeyCheck> {
  const steps: CheckStep[] = [];
  for await (const step of allSteps(deps, key, options)) {
    steps.push(step);
    options.onStep?.(step);
  }
  return {
    tenant: key.tenant,
    arn: key.keyArn,
    canAttach: steps.every(({ status }) => status !== 'fail'),
    steps,
  };
}

async function* allSteps(
  deps: KeyCheckDeps,
  key: KeyRef,
  { shared = false, plan, allowOrigin, signal, renewLease }: KeyCheckOptions,
): AsyncGenerator<CheckStep> {
  const { tenant, keyArn: arn } = key;
  yield* checkSteps(deps, key, { signal, allowOrigin });
  signal?.throwIfAborted();
  const file = await fileOf(deps.tenants, tenant);
  yield planStep(key, file, plan);
  if (file?.blockedKeys.some((blocked) => blocked.arn === arn))
    yield failed(
      'block',
      'An operator blocked this key for the tenant.',
      `To unblock: sealdex keys unblock ${arn} --tenant ${tenant}`,
    );
  // All tenants without a key of their own have a platform key.
  if (!isKeyArn(arn) || platformArns(deps.config).has(arn)) return;
  const others = (await Array.fromAsync(tenantsOf(deps, arn, renewLease))).filter((each) => each.tenant !== tenant);
  yield ownersStep(others, arn, shared);
}

function planStep({ tenant, keyArn }: KeyRef, file: TenantFile | undefined, given: Plan | undefined): CheckStep {
  if (file?.deleted) return failed('plan', `Tenant ${tenant} was deleted.`, 'Choose another name.');
  const plan = file?.plan ?? given;
  if (plan === undefined)
    return warning(
      'plan',
      `Tenant ${tenant} does not exist yet; its plan is checked on creation.`,
      `To create it: sealdex tenants put ${tenant} --plan pro --when-key-shut park --key ${keyArn}`,
    );
  if (plan === 'free')
    return failed(
      'plan',
      'The free plan does not include a KMS key.',
      file ? `Change the plan: sealdex tenants put ${tenant} --plan pro` : 'Choose the plan pro or enterprise.',
    );
  return passed('plan', `The ${plan} plan allows a KMS key.`);
}

const NAMED = 5;

const listed = (tenants: readonly KeyTenant[]): string => {
  const names = tenants.map(({ tenant }) => tenant);
  return names.length <= NAMED
    ? names.join(', ')
    : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`;
};

function ownersStep(others: readonly KeyTenant[], arn: string, isShared: boolean): CheckStep {
  // If S3 failed, the check has no result. Only an invalid tenant file is a result.
  const fault = others.find(({ error }) => error && error.code !== 'PLATFORM_TENANTS')?.error;
  if (fault) throw fault;
  const owners = others.filter(({ error }) => !error);
  const blocked = owners.filter((each) => each.blocked);
  if (blocked.length > 0) {
    const observed = `The key is blocked for: ${listed(blocked)}.`;
    // The block of a deleted tenant cannot be lifted.
    const canEnd = blocked.every(({ deleted }) => !deleted);
    return failed(
      'other owners',
      observed,
      canEnd ? `To unblock: sealdex keys unblock ${arn}` : 'Ask the tenant for another key.',
    );
  }
  if (owners.length > 0) {
    const observed = `Also used by: ${listed(owners)}.`;
    return isShared
      ? warning(
          'other owners',
          observed,
          'Sharing allowed (--shared). Only the encryption context separates these tenants.',
        )
      : failed('other owners', observed, 'Ask the tenant for a dedicated key, or allow sharing with --shared.');
  }
  const [unreadable] = others;
  if (!unreadable) return passed('other owners', 'Not used by any other tenant.');
  const observed = `Could not determine whether other tenants use the key. Unreadable tenant files: ${listed(others)}.`;
  const remedy = `Fix tenants/${unreadable.tenant}.json in the bucket.`;
  return isShared ? warning('other owners', observed, remedy) : failed('other owners', observed, remedy);
}
