// Operator stops: block and unblock a KMS key, pause and resume a tenant. The tenant file is written first, since it survives
// the loss of Redis, then the gate, which all processes receive at once. If that fails, workers find the stop in the file.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { REASON_CHARS } from '../runtime/names.ts';
import { operatorStopIn, type StopText } from '../tenants/operator-stop.ts';
import type { TenantFile, Tenants } from '../tenants/tenants.ts';
import { gateFacts, type GateDeps, type GateFacts } from './gates.ts';

export interface StopDeps extends GateDeps {
  readonly clock: Clock;
  readonly tenants: Tenants;
}

/** Result of a change of a gate by the operator. */
export interface GateChange extends KeyRef {
  /** False if there was no block, no pause or no gate that a release could open. */
  readonly changed: boolean;
  /** State of the gate after the change; absent if it is open. */
  readonly gate?: GateFacts;
}

/** @throws SealdexError `NOT_FOUND` if the tenant neither has nor had the key; those of reading and writing its file */
export async function block(deps: StopDeps, key: KeyRef, reason: string): Promise<GateChange> {
  const stop = stopText(deps.clock, reason);
  await checkHasKey(deps.tenants, key);
  const { file } = await deps.tenants.put(key.tenant, { blocked: { arn: key.keyArn, stop } });
  return follow(deps, file, key, true);
}

export async function unblock(deps: StopDeps, key: KeyRef): Promise<GateChange> {
  const { tenant, keyArn } = key;
  const before = await deps.tenants.show(tenant);
  const isBlocked = before.blockedKeys.some(({ arn }) => arn === keyArn);
  const change = { blocked: { arn: keyArn, stop: null } };
  const file = isBlocked ? (await deps.tenants.put(tenant, change)).file : before;
  return follow(deps, file, key, isBlocked);
}

const currentKey = async (tenants: Tenants, tenant: string): Promise<KeyRef> =>
  keyRef(tenant, (await tenants.get(tenant)).keyArn);

export async function pause(deps: StopDeps, tenant: string, reason: string): Promise<GateChange> {
  const stop = stopText(deps.clock, reason);
  const { file } = await deps.tenants.put(tenant, { paused: stop });
  return follow(deps, file, await currentKey(deps.tenants, tenant), true);
}

export async function resume(deps: StopDeps, tenant: string): Promise<GateChange> {
  const before = await deps.tenants.show(tenant);
  const isPaused = before.paused !== undefined;
  const file = isPaused ? (await deps.tenants.put(tenant, { paused: null })).file : before;
  return follow(deps, file, await currentKey(deps.tenants, tenant), isPaused);
}

/** Changes the gate to the state that the file requires. */
async function follow(deps: StopDeps, file: TenantFile, key: KeyRef, changed: boolean): Promise<GateChange> {
  const { gates, tenants } = deps;
  const stop = operatorStopIn(file, key.keyArn);
  const isCurrent = key.keyArn === (await currentKey(tenants, key.tenant)).keyArn;
  const { gate } = await gates.apply(
    key,
    stop ? { kind: 'operatorStopped', stop, isCurrent } : { kind: 'operatorStopLifted' },
  );
  const facts = await gateFacts(deps, gate.record);
  return { ...keyRef(key.tenant, key.keyArn), changed, ...(facts ? { gate: facts } : {}) };
}

async function checkHasKey(tenants: Tenants, { tenant, keyArn }: KeyRef): Promise<void> {
  const { readableArns } = await tenants.get(tenant);
  if (!readableArns.has(keyArn))
    throw new SealdexError('NOT_FOUND', `The KMS key ${keyArn} does not belong to tenant ${tenant}.`);
}

function stopText(clock: Clock, reason: string): StopText {
  const text = reason.trim();
  if (text.length > 0 && text.length <= REASON_CHARS) return { reason: text, since: clock.now() };
  throw new SealdexError('DOCUMENT_INVALID', `reason must be 1 to ${REASON_CHARS} characters.`, { field: 'reason' });
}
