// Whether a KMS key can be attached to a tenant: what its name and KMS tell, then what the tenants' files do. Changes nothing.
import type { Clock } from '../clock.ts';
import { platformArns, type Config } from '../config.ts';
import { checkName, type Plan } from '../names.ts';
import { checkSteps, type CheckStep, type KeyCheckDeps as KeyDeps } from '../keys/check.ts';
import { fail, ok, warn } from '../keys/check/step.ts';
import { isKeyArn } from '../settings.ts';
import type { TenantFile } from '../tenants.ts';
import { fileOf, tenantsOf, type OwnersDeps } from './owners.ts';

export interface KeyCheck {
  readonly tenant: string;
  readonly arn: string;
  /** No step failed. */
  readonly canAttach: boolean;
  readonly steps: readonly CheckStep[];
}

export interface KeyCheckOptions {
  /** Other tenants may have or have had the key. */
  readonly shared?: boolean | undefined;
  /** Of a tenant that does not exist yet: the one that it will have. */
  readonly plan?: Plan | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Hears each step as soon as it is known. */
  readonly onStep?: (step: CheckStep) => void;
}

export interface KeyCheckDeps extends KeyDeps, OwnersDeps {
  readonly config: Config;
  readonly clock: Clock;
}

export interface KeyCheckOperator {
  /**
   * Makes the real calls, and changes nothing.
   * @throws SealdexError `KMS_THROTTLED`, `KMS_FAILED`, `PLATFORM_CREDENTIALS`, `INTERNAL`, `STORE_FAILED`: nothing is known
   * of the key then; `DOCUMENT_INVALID` with field `tenant`
   */
  checkKey(tenant: string, arn: string, options?: KeyCheckOptions): Promise<KeyCheck>;
}

export const createKeyCheckOperator = (deps: KeyCheckDeps): KeyCheckOperator => ({
  checkKey: async (tenant, arn, options) => checkKey(deps, checkName(tenant, 'tenant'), arn, options),
});

/** @throws as `KeyCheckOperator` */
export async function checkKey(
  deps: KeyCheckDeps,
  tenant: string,
  arn: string,
  options: KeyCheckOptions = {},
): Promise<KeyCheck> {
  const steps: CheckStep[] = [];
  for await (const step of allSteps(deps, tenant, arn, options)) {
    steps.push(step);
    options.onStep?.(step);
  }
  return { tenant, arn, canAttach: steps.every(({ verdict }) => verdict !== 'fail'), steps };
}

async function* allSteps(
  deps: KeyCheckDeps,
  tenant: string,
  arn: string,
  { shared = false, plan, signal }: KeyCheckOptions,
): AsyncGenerator<CheckStep> {
  yield* checkSteps(deps, { tenant, arn }, signal);
  signal?.throwIfAborted();
  const file = await fileOf(deps.tenants, tenant);
  yield planStep(tenant, arn, file, plan);
  if (file?.blockedKeys.some((blocked) => blocked.arn === arn))
    yield fail('block', 'You have blocked this key for the tenant.', `sealdex keys unblock ${arn} --tenant ${tenant}`);
  // All tenants without a key of their own have a platform key.
  if (isKeyArn(arn) && !platformArns(deps.config).has(arn)) yield await ownersStep(deps, tenant, arn, shared);
}

function planStep(tenant: string, arn: string, file: TenantFile | undefined, given: Plan | undefined): CheckStep {
  if (file?.deleted) return fail('plan', `Tenant ${tenant} was deleted.`, 'Choose another name.');
  const plan = file?.plan ?? given;
  if (plan === undefined)
    return warn(
      'plan',
      `There is no tenant ${tenant} yet: its plan is checked when it is made.`,
      `sealdex tenants put ${tenant} --plan pro --key ${arn}`,
    );
  if (plan === 'free')
    return fail(
      'plan',
      'Plan free has no KMS key of its own.',
      file ? `sealdex tenants put ${tenant} --plan pro` : 'Choose plan pro or enterprise.',
    );
  return ok('plan', `Plan ${plan} may have a KMS key of its own.`);
}

const NAMED = 5;

async function ownersStep(deps: OwnersDeps, tenant: string, arn: string, shared: boolean): Promise<CheckStep> {
  const owners: string[] = [];
  const unreadable: string[] = [];
  for await (const each of tenantsOf(deps, arn)) {
    // S3 could not be asked: that says nothing of the file, nor of the key.
    if (each.error && each.error.code !== 'PLATFORM_TENANTS') throw each.error;
    if (each.tenant !== tenant) (each.error ? unreadable : owners).push(each.tenant);
  }
  if (owners.length > 0) {
    const saw = `Tenants that have or had it: ${listed(owners)}.`;
    return shared
      ? warn('other owners', saw, 'Shared on purpose (--shared): only the context keeps these tenants apart.')
      : fail('other owners', saw, 'The tenant gives a key of its own; to share one on purpose: --shared.');
  }
  if (unreadable.length === 0) return ok('other owners', 'No other tenant has or had it.');
  const saw = `Whether another tenant has it is not known: the files of these cannot be read: ${listed(unreadable)}.`;
  const todo = `Repair tenants/${unreadable[0]}.json in the bucket.`;
  return shared ? warn('other owners', saw, todo) : fail('other owners', saw, todo);
}

const listed = (names: readonly string[]): string =>
  names.length <= NAMED ? names.join(', ') : `${names.slice(0, NAMED).join(', ')} and ${names.length - NAMED} more`;
