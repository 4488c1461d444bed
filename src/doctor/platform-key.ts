// Checks the platform key with real calls, in contexts without a tenant. Plaintexts are zeroed.
import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { keyRef } from '../runtime/key-ref.ts';
import type { Role } from '../maintenance/heartbeat.ts';
import { contextOf, periodAt, type KeyScope, type Purpose } from '../keys/data-key.ts';
import type { KeyCalls } from '../keys/kms.ts';
import { PROXY } from '../keys/check/step.ts';
import { failed, markOf, passed, warning, type Check, type CheckResult } from './finding.ts';

export interface PlatformKeyDeps {
  readonly calls: KeyCalls;
  readonly clock: Clock;
  readonly role: Role;
  readonly platformKeyArn: string;
  readonly platformFormerKeyArns: readonly string[];
}

/** Tenant in the context of the calls that test the platform key. */
const NO_TENANT = '-';

/** For every role: a reader opens no intake content, but tests the platform key this way before it reports a tenant's key. */
const PURPOSES: readonly Purpose[] = ['documents', 'intake'];

export function platformKeyChecks(deps: PlatformKeyDeps): Check[] {
  const { clock, platformFormerKeyArns } = deps;
  const period = periodAt(NO_TENANT, clock.now());
  return [
    ...PURPOSES.map((purpose): Check => ({
      check: `platform key, ${purpose}`,
      run: (signal) => use(deps, { period, purpose }, signal),
    })),
    { check: 'platform key, state', run: (signal) => state(deps, signal) },
    ...platformFormerKeyArns.map((arn, at): Check => ({
      check: platformFormerKeyArns.length === 1 ? 'former key' : `former key ${at + 1}`,
      run: (signal) => former(deps.calls, arn, signal),
    })),
  ];
}

async function use(
  { calls, role, platformKeyArn }: PlatformKeyDeps,
  scope: KeyScope,
  signal: AbortSignal,
): Promise<CheckResult> {
  const key = keyRef(NO_TENANT, platformKeyArn);
  const context = contextOf(key, scope);
  let operation = 'GenerateDataKey';
  let made: Awaited<ReturnType<KeyCalls['generateDataKey']>> | undefined;
  let back: Buffer | undefined;
  try {
    made = await calls.generateDataKey(key, context, signal);
    operation = 'Decrypt';
    back = await calls.decrypt(key, made.wrapped, context, signal);
    if (timingSafeEqual(made.plaintext, back)) return passed('GenerateDataKey and Decrypt work.');
    return failed('Decrypt returned a different data key.', PROXY);
  } catch (error) {
    if (!(error instanceof SealdexError)) throw error;
    return refusal(error, operation, role, platformKeyArn);
  } finally {
    made?.plaintext.fill(0);
    back?.fill(0);
  }
}

function refusal(error: SealdexError, operation: string, role: Role, arn: string): CheckResult {
  const observed = `KMS rejected ${operation} (${markOf(error)}).`;
  if (error.reason === 'AccessDeniedException')
    return failed(
      observed,
      `Allow ${role}: kms:${operation} on ${arn}, in its key policy and in IAM. Full policy: sealdex policy ${role}`,
    );
  if (error.code === 'PLATFORM_CREDENTIALS')
    return failed(observed, "Renew the credentials, or check the IAM role and this host's clock.");
  if (error.code === 'KMS_THROTTLED' || error.code === 'KMS_FAILED')
    return failed(
      `KMS returned an error or timed out (${markOf(error)}).`,
      'Check the network, AWS_ENDPOINT_URL_KMS and the AWS Health Dashboard.',
    );
  return failed(observed, `Check ${arn} in KMS: it must exist, be enabled, and be a symmetric encryption key.`);
}

/** Without it, a rejection cannot be explained: a disabled key looks like one scheduled for deletion. */
async function state({ calls, role, platformKeyArn }: PlatformKeyDeps, signal: AbortSignal): Promise<CheckResult> {
  try {
    const { state: is } = await calls.describe(keyRef(NO_TENANT, platformKeyArn), signal);
    return is === 'Enabled' ? passed('Enabled.') : failed(`${platformKeyArn} is ${is}.`, 'Enable the key.');
  } catch (error) {
    if (!(error instanceof SealdexError)) throw error;
    return refusal(error, 'DescribeKey', role, platformKeyArn);
  }
}

/** There is no wrapped data key for a test of Decrypt. */
async function former(calls: KeyCalls, arn: string, signal: AbortSignal): Promise<CheckResult> {
  try {
    const { state } = await calls.describe(keyRef(NO_TENANT, arn), signal);
    if (state === 'Enabled') return passed('Enabled.');
    return failed(`${arn} is ${state}; data encrypted under it cannot be read.`, 'Enable the key.');
  } catch (error) {
    if (!(error instanceof SealdexError) || error.reason !== 'AccessDeniedException') throw error;
    return warning(
      `Could not read the state of ${arn} (${markOf(error)}).`,
      'Check it manually, or allow kms:DescribeKey.',
    );
  }
}
