// Checks whether a KMS key can serve a tenant, by its name and by calls to KMS, step by step. Changes and keeps nothing.
// src/operator/key-check.ts checks the plan and the key's other tenants.
import type { KeyRef } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import type { OriginToAllow } from '../runtime/names.ts';
import { arnStep, isMultiRegion, ownerStep, type Installation } from './check/arn.ts';
import { factSteps } from './check/facts.ts';
import { failed, passed, refusalIn, refused, type CheckStep } from './check/step.ts';
import { useSteps } from './check/use.ts';
import { contextOf, periodAt } from './data-key.ts';
import type { KeyCalls, KeyFacts } from './kms.ts';

export type { CheckStep } from './check/step.ts';

export interface KeyCheckDeps {
  readonly config: Installation;
  readonly clock: Clock;
  readonly keyCalls: KeyCalls;
}

/**
 * Yields the result of each step. Ends early if the remaining steps cannot succeed.
 * @throws SealdexError `KMS_THROTTLED`, `KMS_FAILED`, `PLATFORM_CREDENTIALS`, `INTERNAL` if the check gives no result about the
 * key; the signal's reason
 */
export async function* checkSteps(
  { config, clock, keyCalls }: KeyCheckDeps,
  key: KeyRef,
  {
    signal,
    allowOrigin,
  }: { readonly signal?: AbortSignal | undefined; readonly allowOrigin?: OriginToAllow | undefined } = {},
): AsyncGenerator<CheckStep> {
  const { tenant, keyArn: arn } = key;
  for (const step of [arnStep(arn, config), ownerStep(arn, config)]) {
    yield step;
    if (step.status === 'fail') return;
  }
  const described = await describe(keyCalls, key, config.region, signal);
  yield described.step;
  if (described.isGone) return;
  const facts = described.facts === undefined ? [] : factSteps(described.facts, config.region, allowOrigin);
  yield* facts;
  if (facts.some(({ status }) => status === 'fail')) return;
  const context = contextOf(key, { period: periodAt(tenant, clock.now()), purpose: 'documents' });
  yield* useSteps(keyCalls, key, context, signal);
}

interface Described {
  readonly step: CheckStep;
  readonly facts?: KeyFacts;
  /** The other calls would not find the key either. */
  readonly isGone?: boolean;
}

async function describe(
  calls: KeyCalls,
  key: KeyRef,
  region: string,
  signal: AbortSignal | undefined,
): Promise<Described> {
  try {
    const facts = await calls.describe(key, signal);
    return { step: passed('DescribeKey', 'DescribeKey works.'), facts };
  } catch (error) {
    const fault = refusalIn(error);
    if (fault.code === 'KEY_NOT_FOUND' && isMultiRegion(key.keyArn)) {
      const observed = `The multi-region key has no replica in ${region}.`;
      return { step: failed('DescribeKey', observed, `Ask the tenant to create one in ${region}.`), isGone: true };
    }
    const step = refused('DescribeKey', 'kms:DescribeKey', key, fault);
    // A denial of DescribeKey alone does not end the check: all missing actions are reported together.
    return { step, isGone: fault.code !== 'KEY_DENIED' };
  }
}
