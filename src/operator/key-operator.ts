// Key operations of the operator: gates, KMS keys and paused tenants as one interface.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';
import { checkName } from '../runtime/names.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import { blockOwners, type BlockOwnersDeps, type OwnerBlocked } from './block-key-tenants.ts';
import { listGates, type GateFilter, type GateList } from './gates.ts';
import { probe, release, type KeyDeps, type ProbeAnswer } from './keys.ts';
import { tenantsOf, type KeyTenant } from './key-tenants.ts';
import { parkedJobs, type ParkedJob } from './parked.ts';
import { block, pause, resume, unblock, type GateChange } from './stops.ts';

/**
 * All throw `REDIS_FAILED`; those that read or write a tenant's file `TENANT_UNKNOWN`, `PLATFORM_TENANTS`, `STORE_FAILED` too.
 */
export interface KeyOperator {
  /** Gates that are not open, the most urgent first. */
  gates(filter?: GateFilter): Promise<GateList>;
  /** Probes the KMS key of a shut gate now. Two consecutive successful probes open the gate, also those of workers. */
  probe(tenant: string, keyArn: string): Promise<ProbeAnswer>;
  /** Opens a gate that is shut or destroyed; the next KMS error shuts it again. Does not lift a block or a pause. */
  release(tenant: string, keyArn: string): Promise<GateChange>;
  /**
   * Stops every use of the KMS key for this tenant until `unblock`.
   * @throws SealdexError `NOT_FOUND`, `DOCUMENT_INVALID` with field `reason`
   */
  block(tenant: string, keyArn: string, reason: string): Promise<GateChange>;
  /**
   * Blocks the KMS key for all tenants that have or had it, one after the other.
   * @throws SealdexError `TENANT_CHANGED` at the end, if a tenant may have received the key concurrently
   */
  blockOwners(keyArn: string, reason: string): AsyncGenerator<OwnerBlocked>;
  /** Lifts the block of a KMS key for a tenant. */
  unblock(tenant: string, keyArn: string): Promise<GateChange>;
  /** Parks all jobs of the tenant until `resumeTenant`. @throws SealdexError `DOCUMENT_INVALID` with field `reason` */
  pauseTenant(tenant: string, reason: string): Promise<GateChange>;
  /** Lifts the pause of a tenant; its parked jobs resume. */
  resumeTenant(tenant: string): Promise<GateChange>;
  /** All tenants that have or had the KMS key. Reads every tenant's file. */
  tenantsOf(keyArn: string): AsyncGenerator<KeyTenant>;
  /** Parked jobs, oldest first. Reads `size` jobs of each gate at a time, at most 100. */
  parkedJobs(filter?: { readonly tenant?: string | undefined; readonly size?: number }): AsyncGenerator<ParkedJob>;
}

const GATE_FILTER: FieldNames<GateFilter> = { tenant: true, keyArn: true };

export function createKeyOperator(deps: KeyDeps & BlockOwnersDeps & { readonly queue: JobQueue }): KeyOperator {
  const named = (tenant: string): string => checkName(tenant, 'tenant');
  const keyOf = (tenant: string, keyArn: string): KeyRef => keyRef(named(tenant), keyArn);
  return {
    gates: async (filter = {}) => listGates(deps, knownFields(filter, GATE_FILTER)),
    probe: async (tenant, keyArn) => probe(deps, keyOf(tenant, keyArn)),
    release: async (tenant, keyArn) => release(deps, keyOf(tenant, keyArn)),
    block: async (tenant, keyArn, reason) => block(deps, keyOf(tenant, keyArn), reason),
    blockOwners: (keyArn, reason) => blockOwners(deps, keyArn, reason),
    unblock: async (tenant, keyArn) => unblock(deps, keyOf(tenant, keyArn)),
    pauseTenant: async (tenant, reason) => pause(deps, named(tenant), reason),
    resumeTenant: async (tenant) => resume(deps, named(tenant)),
    tenantsOf: (keyArn) => tenantsOf(deps, keyArn),
    parkedJobs: (filter) => parkedJobs(deps, filter),
  };
}
