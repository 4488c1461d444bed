// Probe and release by the operator: tests the KMS key of a gate now, and releases jobs parked at a gate.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import { probeOnce, type ProbeDeps, type ProbingDeps } from '../parking/probe.ts';
import { gateFacts, type GateFacts } from './gates.ts';
import type { GateChange, StopDeps } from './stops.ts';
import { operatorStopIn } from '../tenants/operator-stop.ts';

export interface KeyDeps extends StopDeps {
  readonly probing: ProbingDeps;
}

/** Result of a probe. */
export interface ProbeAnswer extends KeyRef {
  /**
   * `ok`, or the code of the KMS error. Absent if KMS was not called: the gate is not shut, an operator stop applies, or another
   * process is probing.
   */
  readonly said?: 'ok' | Code;
  /** Error name of KMS. */
  readonly reason?: string;
  /** True if another process is probing the key. */
  readonly isBusy: boolean;
  /** State of the gate after the probe; absent if it is open. */
  readonly gate?: GateFacts;
}

/** @throws SealdexError `REDIS_FAILED`; those of reading the tenant's file */
export async function probe(deps: KeyDeps, key: KeyRef): Promise<ProbeAnswer> {
  const { gates, probing } = deps;
  const before = await gates.read(key);
  let result: Pick<ProbeAnswer, 'said' | 'reason'> = {};
  const tryKey: ProbeDeps['tryKey'] = async (tried) => {
    try {
      await probing.tryKey(tried);
      result = { said: 'ok' };
    } catch (error) {
      const { code, reason } = error instanceof SealdexError ? error : new SealdexError('INTERNAL');
      result = { said: code, ...(reason === undefined ? {} : { reason }) };
      throw error;
    }
  };
  const isShut = before.record?.state === 'shut';
  const after = isShut ? await probeOnce({ ...probing, tryKey }, before) : before;
  const gate = await gateFacts(deps, (after ?? before).record);
  return { ...keyRef(key.tenant, key.keyArn), ...result, isBusy: after === undefined, ...(gate ? { gate } : {}) };
}

/**
 * Opens a gate that is shut or destroyed; the next KMS error shuts it again. Does not lift a block or a pause.
 * @throws as probe
 */
export async function release(deps: KeyDeps, key: KeyRef): Promise<GateChange> {
  const { gates } = deps;
  const stop = operatorStopIn(await deps.tenants.show(key.tenant), key.keyArn);
  const { isChanged, gate } = stop
    ? { isChanged: false, gate: await gates.read(key) }
    : await gates.apply(key, { kind: 'operatorReleased' });
  const facts = await gateFacts(deps, gate.record);
  return { ...keyRef(key.tenant, key.keyArn), changed: isChanged, ...(facts ? { gate: facts } : {}) };
}
