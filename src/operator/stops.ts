// The operator's word: a KMS key is blocked, a tenant is paused, and back. The tenant's file first, since it is what lasts;
// then the gate, so that all processes know at once. If the gate cannot be reached, workers find the file by themselves.
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { REASON_CHARS } from '../runtime/names.ts';
import type { Gate, GateRecord, Gates } from '../parking/gate.ts';
import { isByOperator, released, shutByWord, type Word } from '../parking/operator-stop.ts';
import type { TenantFile, Tenants } from '../tenants/tenants.ts';
import { gateFacts, type GateDeps, type GateFacts } from './gates.ts';

export interface WordDeps extends GateDeps {
  readonly clock: Clock;
  readonly tenants: Tenants;
}

/** What an operator's word has led to. */
export interface GateChange {
  readonly tenant: string;
  readonly keyArn: string;
  /** False: there was nothing to end, no block, no pause, or no gate that a release could open. */
  readonly changed: boolean;
  /** As the gate is now; undefined when it is open. */
  readonly gate?: GateFacts;
}

/** How long such a gate is left alone: a probe of it only reads the tenant's file. */
const NEXT_LOOK_MS = 30_000;

const ROUNDS = 5;

/** @throws SealdexError `NOT_FOUND` when the tenant neither has nor had the key, and what reading and writing its file throws */
export async function block(deps: WordDeps, tenant: string, keyArn: string, reason: string): Promise<GateChange> {
  const word = wordOf(deps.clock, reason);
  await ownKey(deps.tenants, tenant, keyArn);
  const { file } = await deps.tenants.put(tenant, { blocked: { arn: keyArn, word } });
  return follow(deps, file, keyArn, true);
}

export async function unblock(deps: WordDeps, tenant: string, keyArn: string): Promise<GateChange> {
  const before = await deps.tenants.show(tenant);
  const isBlocked = before.blockedKeys.some(({ arn }) => arn === keyArn);
  const change = { blocked: { arn: keyArn, word: null } };
  const file = isBlocked ? (await deps.tenants.put(tenant, change)).file : before;
  return follow(deps, file, keyArn, isBlocked);
}

export async function pause(deps: WordDeps, tenant: string, reason: string): Promise<GateChange> {
  const word = wordOf(deps.clock, reason);
  const { file } = await deps.tenants.put(tenant, { paused: word });
  return follow(deps, file, await currentKey(deps.tenants, tenant), true);
}

export async function resume(deps: WordDeps, tenant: string): Promise<GateChange> {
  const before = await deps.tenants.show(tenant);
  const isPaused = before.paused !== undefined;
  const file = isPaused ? (await deps.tenants.put(tenant, { paused: null })).file : before;
  return follow(deps, file, await currentKey(deps.tenants, tenant), isPaused);
}

/** The operator's word that a gate is shut for, by the tenant's file. */
export function wordIn({ paused, blockedKeys }: TenantFile, keyArn: string): Word | undefined {
  const blocked = blockedKeys.find(({ arn }) => arn === keyArn);
  if (paused) return { code: 'TENANT_PAUSED', since: paused.since, note: paused.reason.slice(0, REASON_CHARS) };
  return blocked && { code: 'KEY_BLOCKED', since: blocked.since, note: blocked.reason.slice(0, REASON_CHARS) };
}

/**
 * Changes a gate as `decide` says, again when somebody else has changed it meanwhile; undefined leaves it.
 * @throws SealdexError `REDIS_FAILED`, `TENANT_CHANGED`
 */
export async function changeGate(
  gates: Gates,
  tenant: string,
  keyArn: string,
  decide: (gate: Gate) => GateRecord | undefined,
): Promise<Gate> {
  for (let round = 0; round < ROUNDS; round++) {
    const gate = await gates.read(tenant, keyArn);
    const record = decide(gate);
    if (!record) return gate;
    if (await gates.change(gate.epoch, record)) return gates.read(tenant, keyArn);
  }
  throw new SealdexError('TENANT_CHANGED');
}

/** Brings the gate to where the file wants it. */
async function follow(deps: WordDeps, file: TenantFile, keyArn: string, changed: boolean): Promise<GateChange> {
  const { gates, clock, tenants } = deps;
  const { tenant } = file;
  const word = wordIn(file, keyArn);
  const now = clock.now();
  const wasCurrent = keyArn === (await currentKey(tenants, tenant));
  const gate = await changeGate(gates, tenant, keyArn, (before) => {
    if (word) return shutByWord(before, { tenant, keyArn, wasCurrent }, word, now, now + NEXT_LOOK_MS);
    const { record } = before;
    return record?.state === 'shut' && isByOperator(record.code) ? released(record) : undefined;
  });
  const facts = await gateFacts(deps, gate.record);
  return { tenant, keyArn, changed, ...(facts ? { gate: facts } : {}) };
}

const currentKey = async (tenants: Tenants, tenant: string): Promise<string> => (await tenants.get(tenant)).keyArn;

async function ownKey(tenants: Tenants, tenant: string, keyArn: string): Promise<void> {
  const { readableArns } = await tenants.get(tenant);
  if (!readableArns.has(keyArn))
    throw new SealdexError('NOT_FOUND', `Tenant ${tenant} neither has nor had the KMS key ${keyArn}.`);
}

function wordOf(clock: Clock, reason: string): { reason: string; since: number } {
  const text = reason.trim();
  if (text.length > 0 && text.length <= REASON_CHARS) return { reason: text, since: clock.now() };
  throw new SealdexError('DOCUMENT_INVALID', `reason must be 1 to ${REASON_CHARS} characters.`, { field: 'reason' });
}
